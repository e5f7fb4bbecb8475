#include "config/shell_words.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <optional>
#include <utility>

#include "config/characters.h"
#include "config/variables.h"

namespace mgpu::config {
namespace {

constexpr std::string_view kOperators = "&|;<>()";
constexpr std::string_view kNoShell = ", and no shell reads this command: ";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_name_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string operator_problem(std::string_view sign) {
  std::string hint = "write [sh, -c, '...'] for a script, or put it in quotes";
  if (sign == "&") hint = "leave it out, the program must stay in the foreground";
  if (sign.contains('>'))
    hint = "leave it out (mgpu keeps the output, log_file writes it to a file), or " + hint;
  return in_quotes(sign) + " is an operator of a shell" + std::string(kNoShell) + hint;
}

// `text` begins with $ or `. None: a shell would take the sign as it is.
std::optional<std::string> expansion_problem(std::string_view text) {
  if (text.starts_with('`') || text.starts_with("$("))
    return std::string(text.starts_with('`') ? "`...`" : "$(...)") + " runs another command in a shell" +
           std::string(kNoShell) + "write [sh, -c, '...'], or put it in single quotes";
  const std::string_view rest = text.substr(1);
  std::size_t size = 0;
  while (size < rest.size() && is_name_character(rest[size])) ++size;
  if (size == 0) {
    constexpr std::string_view kSpecial = "?$@*#!{";
    if (rest.empty() || !kSpecial.contains(rest.front())) return std::nullopt;
    size = 1;
  }
  const std::string name(rest.substr(0, size));
  const bool is_variable =
      std::isdigit(static_cast<unsigned char>(name.front())) == 0 && is_name_character(name.front());
  const std::string instead = name == "PORT" ? std::string(kPortPlaceholder) : "${env." + name + "}";
  return "\"$" + name + "\" is a variable of a shell" + std::string(kNoShell) +
         (is_variable ? "write " + instead + ", or '$" + name + "' in single quotes for the text itself"
                      : "write [sh, -c, '...'], or put it in single quotes");
}

std::string tilde_problem(std::string_view word) {
  return in_quotes(word) +
         ": only a shell replaces ~, and no shell reads this command: write ${env.HOME} instead, or put it " +
         "in single quotes";
}

// Whether a shell would replace a ~ at `at` by a home folder, or its writer thinks so: at the begin of a word
// or behind a =.
bool is_home(std::string_view word, std::size_t at) {
  const bool begins = at == 0 || word[at - 1] == '=';
  return begins && word[at] == '~' && (at + 1 == word.size() || word[at + 1] == '/' || at == 0);
}

bool is_shell(std::string_view program) {
  const std::string_view name = program.substr(program.rfind('/') + 1);
  for (const std::string_view shell : {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish"})
    if (name == shell) return true;
  return false;
}

// The index of the script in a command such as `nice bash -lc SCRIPT`; words.size() if there is none.
std::size_t script_index(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!is_shell(words[i])) continue;
    for (std::size_t option = i + 1; option < words.size() && words[option].starts_with('-'); ++option)
      if (!words[option].starts_with("--") && words[option].ends_with('c')) return option + 1;
  }
  return words.size();
}

class WordSplitter {
 public:
  WordSplitter(std::string_view text, std::span<const Substitution> literal)
      : text_(text), literal_(literal) {}

  Result<std::vector<std::string>> run() {
    while (error_.empty() && (at_ < text_.size() || !literal_.empty())) {
      if (take_literal()) continue;
      if (quote_ == '\'')
        take_in_single_quotes();
      else if (quote_ == '"')
        take_in_double_quotes();
      else
        take_unquoted();
    }
    if (error_.empty() && quote_ != 0)
      error_ =
          std::string("the quote ") + quote_ + " is never closed: close it, or escape it with a backslash";
    end_word();
    if (!error_.empty()) return fail(ErrorCode::invalid_config, std::move(error_));
    const std::size_t script = script_index(words_);
    for (auto& [word, problem] : problems_)
      if (word != script) return fail(ErrorCode::invalid_config, std::move(problem));
    return std::move(words_);
  }

 private:
  // Takes a part that is plain text. An empty one outside of quotes begins no word, as in a shell.
  bool take_literal() {
    if (!literal_.empty() && literal_.front().from == at_) {
      const Substitution& part = literal_.front();
      word_ += text_.substr(at_, part.size), shown_ += part.written;
      in_word_ |= part.size > 0 || quote_ != 0;
      at_ += part.size;
      literal_ = literal_.subspan(1);
      return true;
    }
    if (!text_.substr(at_).starts_with(kPortPlaceholder)) return false;
    add(kPortPlaceholder);
    return true;
  }

  void take_in_single_quotes() {
    if (text_[at_] == '\'')
      quote_ = 0, ++at_;
    else
      add(text_.substr(at_, 1));
  }

  void take_in_double_quotes() {
    const char c = text_[at_];
    if (c == '"') {
      quote_ = 0, ++at_;
    } else if (c == '\\' && at_ + 1 < text_.size()) {
      take_escape_in_quotes();
    } else {
      if (c == '$' || c == '`') note_problem(expansion_problem(rest()));
      add(text_.substr(at_, 1));
    }
  }

  // Within double quotes a backslash escapes only special characters and else stays.
  void take_escape_in_quotes() {
    const std::string_view next = text_.substr(at_ + 1, 1);
    if (const std::size_t size = line_break_size(at_ + 1); size > 0) {
      at_ += 1 + size;
      return;
    }
    const bool escapes = std::string_view("\"\\$`").contains(next.front());
    if (!escapes)
      add("\\");
    else
      ++at_;
    add(next);
  }

  void take_unquoted() {
    const char c = text_[at_];
    if (is_blank(c)) {
      end_word(), ++at_;
    } else if (c == '#' && !in_word_) {
      at_ = std::min(text_.find('\n', at_), text_.size());
      while (!literal_.empty() && literal_.front().from < at_) literal_ = literal_.subspan(1);
    } else if (c == '\\') {
      take_escape();
    } else if (c == '\'' || c == '"') {
      quote_ = c, in_word_ = true, ++at_;
    } else if (kOperators.contains(c)) {
      error_ = operator_problem(rest().substr(0, rest().find_first_not_of(kOperators)));
    } else {
      take_plain_character();
    }
  }

  void take_escape() {
    if (at_ + 1 == text_.size()) {
      error_ = "the command ends with a backslash: remove it, or double it";
    } else if (const std::size_t size = line_break_size(at_ + 1); size > 0) {
      at_ += 1 + size;
    } else if (!in_word_ && is_blank(text_[at_ + 1])) {
      at_ += 2;  // the end of a folded line: no word begins with a blank
    } else {
      ++at_;
      add(text_.substr(at_, 1));
    }
  }

  void take_plain_character() {
    const std::string_view rest = this->rest();
    if (odd_blank_size(rest) != 0) {
      error_ = "contains a blank that is not the usual one (no-break or zero-width): write a plain blank";
    } else if (starts_with_typographic_quote(rest)) {
      error_ = "contains a typographic quote, which quotes nothing: write \" or '";
    } else if (!in_word_ && starts_with_typographic_dash(rest)) {
      error_ = "a word begins with a typographic dash: write - or --";
    } else {
      if (rest.starts_with("$(") || rest.front() == '`') error_ = *expansion_problem(rest);
      if (rest.front() == '$') note_problem(expansion_problem(rest));
      if (is_pattern()) note_problem(pattern_problem());
      if (rest.front() == '~' && is_home(std::string(word_) + std::string(rest.substr(0, 2)), word_.size()))
        note_problem(tilde_problem(shown_ + std::string(rest_of_word())));
      add(rest.substr(0, 1));
    }
  }

  // A ? belongs to a URL more often than to a pattern.
  bool is_pattern() const {
    return text_[at_] == '*' || (text_[at_] == '?' && !word_.contains("://") && !word_.starts_with('/'));
  }

  std::string pattern_problem() const {
    return in_quotes(shown_ + std::string(rest_of_word())) + " is a pattern of file names for a shell" +
           std::string(kNoShell) + "name the files, or put it in quotes for the text itself";
  }

  // The text from here to the next literal part, which may be a secret.
  std::string_view rest() const {
    return text_.substr(at_, literal_.empty() ? std::string_view::npos : literal_.front().from - at_);
  }

  std::string_view rest_of_word() const { return rest().substr(0, rest().find_first_of(" \t\r\n'\"\\")); }

  // Of the line break at `at`; 0: there is none.
  std::size_t line_break_size(std::size_t at) const {
    const std::string_view rest = text_.substr(at);
    return rest.starts_with('\n') ? 1 : rest.starts_with("\r\n") ? 2 : 0;
  }

  void add(std::string_view part) {
    word_ += part, shown_ += part;
    in_word_ = true;
    at_ += part.size();
  }

  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear(), shown_.clear();
    in_word_ = false;
  }

  void note_problem(std::optional<std::string> problem) {
    if (problem) problems_.emplace_back(words_.size(), *std::move(problem));
  }

  std::string_view text_;
  std::span<const Substitution> literal_;  // those that begin at or after at_
  std::size_t at_ = 0;
  char quote_ = 0;
  std::string word_{};
  std::string shown_{};   // as word_, with substitutions as they are written
  bool in_word_ = false;  // distinguishes the empty word "" from no word
  std::vector<std::string> words_{};
  std::string error_{};
  std::vector<std::pair<std::size_t, std::string>>
      problems_{};  // index of the word, message; void in a script
};

// "-m model.gguf", "--port 80": an option and its value in one word.
bool is_option_with_value(std::string_view word) {
  const std::size_t blank = word.find(' ');
  if (!word.starts_with('-') || blank == std::string_view::npos || blank + 1 == word.size()) return false;
  const std::string_view option = word.substr(std::min(word.find_first_not_of('-'), blank), blank);
  return !option.empty() && std::isalpha(static_cast<unsigned char>(option.front())) != 0 &&
         !word.substr(0, blank).contains('=');
}

std::string problem_in_listed_word(std::string_view word) {
  for (const std::string_view sign : {"&&", "||", "|", "&", ">", ">>", "<", "2>", "&>", "2>&1"})
    if (word == sign) return operator_problem(sign);
  if (word == "\\" || word == "\\\n")
    return "a backslash is an item of its own: remove it, each item is one argument";
  if (is_option_with_value(word)) {
    const std::size_t blank = word.find(' ');
    return in_quotes(word) + " is one argument: write " + in_quotes(word.substr(0, blank)) +
           " and its value as two items";
  }
  for (std::size_t at = 0; at < word.size(); ++at) {
    if (is_home(word, at)) return tilde_problem(word);
    if (word[at] == '$' && at + 1 < word.size() && word[at + 1] != '{' && word[at + 1] != '$')
      if (auto problem = expansion_problem(word.substr(at))) return *std::move(problem);
  }
  return {};
}

}  // namespace

std::string without_shell_comments(std::string_view text) {
  std::string rest;
  char quote = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '#' && quote == 0 && (at == 0 || is_blank(text[at - 1]))) {
      at = text.find('\n', at);
      if (at == std::string_view::npos) return rest;
    } else if (c == '\\' && quote != '\'' && at + 1 < text.size()) {
      rest += text[at++];
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    }
    rest += text[at];
  }
  return rest;
}

Result<std::vector<std::string>> split_shell_words(std::string_view text,
                                                   std::span<const Substitution> literal) {
  return WordSplitter(text, literal).run();
}

std::string problem_in_word_list(const std::vector<std::string>& words) {
  if (!words.empty() && words.front().contains(" -"))
    return in_quotes(words.front()) +
           " is the program's name here: write each argument as an item of its own, or the " +
           "command as one text without [ ]";
  const std::size_t script = script_index(words);
  for (std::size_t i = 0; i < words.size(); ++i)
    if (i != script)
      if (std::string problem = problem_in_listed_word(words[i]); !problem.empty()) return problem;
  return {};
}

std::string to_shell_text(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

std::string problem_in_program(std::string_view program) {
  const std::size_t sign = program.find('=');
  const bool is_assignment = sign != std::string_view::npos && sign > 0 &&
                             std::ranges::all_of(program.substr(0, sign), is_name_character) &&
                             std::isdigit(static_cast<unsigned char>(program.front())) == 0;
  if (is_assignment)
    return "begins with an environment variable, and no shell reads it: write env: {" +
           std::string(program.substr(0, sign)) + ": ...} beside the command";
  for (const std::string_view word :
       {"exec", "cd", "source", ".", "export", "set", "eval", "ulimit", "umask", "if", "for", "while"})
    if (program == word)
      return "begins with " + in_quotes(program) +
             ", a word of the shell and no program: leave it out, use cwd or env, or write " +
             "[sh, -c, '...']";
  return {};
}

}  // namespace mgpu::config
