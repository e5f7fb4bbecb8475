// Reads the values of value.h. Errors quote a value as it may be shown: what came from the environment stays
// hidden.
#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/amounts.h"
#include "config/characters.h"
#include "config/shell_words.h"
#include "config/spelling.h"
#include "config/value.h"
#include "config/value_text.h"

namespace mgpu::config {

using mgpu::to_string;  // besides the one for Diagnostic
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

ReadErrors value_error(const Node& node, std::string message) { return {{node.mark, std::move(message)}}; }

void append(ReadErrors& errors, ReadErrors more) { std::ranges::move(more, std::back_inserter(errors)); }

bool has_secret(const Node& node) {
  return std::ranges::any_of(node.substitutions,
                             [](const Substitution& part) { return !part.variable.empty(); });
}

// Null: the node is a scalar. `expected` describes it: "a duration (30s)".
ReadErrors require_scalar(const Node& node, std::string_view expected) {
  if (node.is_scalar()) return {};
  std::string hint;
  if (node.is_map() && node.items.size() == 1)
    hint = " (a text that contains a colon and a blank needs quotes)";
  if (node.is_list() && node.items.size() == 1) hint = " (write it without [ ] or -)";
  return value_error(node, "expected " + std::string(expected) + ", found " + describe(node) + hint);
}

// `problem` is the end of the message: "is not a duration: ...". It may contain the text, so it is not shown
// for a value of the environment.
ReadErrors problem_with(const Node& node, const std::string& problem, std::string_view expected) {
  const bool is_hidden = has_secret(node);
  return value_error(node,
                     describe(node) + " " + (is_hidden ? "does not give " + std::string(expected) : problem));
}

// Reads a scalar with one of the readers of amounts.h.
template <class T, class Reader>
ReadErrors read_amount(const Node& node, std::string_view expected, Reader reader, T& value) {
  if (ReadErrors errors = require_scalar(node, expected); !errors.empty()) return errors;
  if (const auto odd = find_odd_character(node.text)) return problem_with(node, *odd, expected);
  const auto reading = reader(node.text);
  if (!reading) return problem_with(node, reading.error(), expected);
  value = *reading;
  return {};
}

ReadErrors out_of_range(const Node& node, const std::string& bounds) {
  return value_error(node, shown_text(node) + " is out of range" + bounds);
}

template <class Number>
ReadErrors read_number(const Node& node, const Range& range, Number& value) {
  const std::int64_t most = std::min<std::int64_t>(range.most, std::numeric_limits<Number>::max());
  std::int64_t number = 0;
  if (ReadErrors errors = read_amount(node, "a whole number", read_whole_number, number); !errors.empty())
    return errors;
  if (number < range.least || number > most)
    return out_of_range(node, ": " + std::to_string(range.least) + " to " + std::to_string(most));
  value = static_cast<Number>(number);
  return {};
}

// One line of text, not empty, without blanks around it and characters that can't be seen.
ReadErrors read_text(const Node& node, std::string_view expected, std::string& value) {
  if (ReadErrors errors = require_scalar(node, expected); !errors.empty()) return errors;
  const std::string& text = node.text;
  if (text.empty()) return problem_with(node, "is empty: leave it out", expected);
  if (kBlanks.contains(text.front()) || kBlanks.contains(text.back()))
    return problem_with(
        node, "begins or ends with a blank or line break: remove it (of a block, write >- or |-)", expected);
  if (text.find_first_of("\r\n\t") != std::string::npos)
    return problem_with(node, "has a line break or tab in it", expected);
  for (std::size_t at = 0; at < text.size(); ++at)
    if (const auto name = control_character(std::string_view(text).substr(at)))
      return problem_with(node, "contains the control character " + *name, expected);
  if (const auto odd = find_odd_character(text)) return problem_with(node, *odd, expected);
  value = text;
  return {};
}

// "$HOME/models"; not ${...}, which is ours.
bool has_shell_variable(std::string_view text) {
  for (std::size_t at = 0; at + 1 < text.size(); ++at)
    if (text[at] == '$' && std::isalpha(static_cast<unsigned char>(text[at + 1])) != 0) return true;
  return false;
}

std::size_t index_of(const std::vector<std::string>& names, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
}

// "POST /unload" or just "/unload".
ReadErrors read_request_line(const Node& node, RequestConfig& request) {
  std::string text;
  if (ReadErrors errors = read_text(node, "a request such as \"POST /unload\"", text); !errors.empty())
    return errors;
  const std::size_t blank = text.find(' ');
  if (blank != std::string::npos) request.method = text.substr(0, blank);
  request.path = blank == std::string::npos ? text : text.substr(blank + 1);
  if (index_of(http_methods(), request.method) == http_methods().size() || !request.path.starts_with('/') ||
      request.path.contains(' '))
    return value_error(node, describe(node) + " is not a request: write \"POST /unload\" (" +
                                 join_names(http_methods()) + ", then a path that starts with /)");
  return {};
}

ReadErrors read_body(const Node& node, RequestConfig& request) {
  constexpr std::string_view kExpected = "the JSON text of a body, in quotes";
  if (ReadErrors errors = require_scalar(node, kExpected); !errors.empty()) return errors;
  if (!nlohmann::json::accept(node.text))
    return problem_with(
        node, "is not JSON: write " + std::string(kExpected) + R"(, such as '{"unload_models": true}')",
        kExpected);
  request.body = node.text;
  return {};
}

// A list of `expected`, of which `read_one(node, value)` reads one.
template <class T, class ReadOne>
ReadErrors read_list(const Node& node, std::string_view expected, std::vector<T>& value, ReadOne read_one) {
  if (!node.is_list()) {
    const bool is_one = node.is_scalar() && !node.text.empty() && !has_secret(node);
    return value_error(node, "expected a list of " + std::string(expected) + ", found " + describe(node) +
                                 (is_one ? ": write [" + shown_text(node) + "]" : ""));
  }
  ReadErrors errors;
  for (const Node& item : node.items) {
    T one{};
    append(errors, read_one(item, one));
    value.push_back(std::move(one));
  }
  return errors;
}

// Distinct texts; `read_one` reads one.
template <class ReadOne>
ReadErrors read_distinct(const Node& node, std::string_view expected, std::vector<std::string>& value,
                         ReadOne read_one) {
  ReadErrors errors = read_list(node, expected, value, read_one);
  for (std::size_t i = 0; i < value.size(); ++i)
    if (!value[i].empty() && index_of(value, value[i]) < i)
      append(errors,
             value_error(node.items[i], describe(node.items[i]) + " is there twice: remove one of them"));
  return errors;
}

// `read_one(key, node, value)` reads one value of the map.
template <class T, class ReadOne>
ReadErrors read_map(const Node& node, std::map<std::string, T>& value, std::string_view expected,
                    ReadOne read_one) {
  if (!node.is_map())
    return value_error(node, "expected " + std::string(expected) + ", found " + describe(node));
  ReadErrors errors;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    std::string name;
    ReadErrors of_key = read_text(node.keys[i], "a name", name);
    const bool has_name = of_key.empty();
    append(errors, std::move(of_key));
    T one{};
    append(errors, read_one(node.keys[i], node.items[i], one));
    if (has_name && !value.emplace(std::move(name), std::move(one)).second)
      append(errors,
             value_error(node.keys[i], describe(node.keys[i]) + " is there twice: remove one of them"));
  }
  return errors;
}

// The words of a command or of arguments, as one text or as a list.
ReadErrors read_words(const Node& node, std::vector<std::string>& words) {
  if (node.is_scalar()) {
    auto split = split_shell_words(node.text, node.substitutions);
    if (!split) return value_error(node, split.error().detail);
    words = std::move(*split);
    return {};
  }
  ReadErrors errors = read_list(node, "texts, or one text", words, [](const Node& item, std::string& word) {
    word = item.text;
    return require_scalar(item, "a text");
  });
  if (!errors.empty()) return errors;
  std::vector<std::string> shown;
  for (const Node& item : node.items) shown.push_back(shown_text(item));
  if (const std::string problem = problem_in_word_list(shown); !problem.empty())
    return value_error(node, problem);
  return {};
}

// An environment variable's value is one text of any content; only the kernel's limits apply.
ReadErrors read_variable(const Node& key, const Node& node, std::string& value) {
  if (node.is_null())
    return value_error(
        key, describe(key) + " has no value: write \"\" for an empty one, or ${env." + key.text + "}");
  if (key.is_scalar() && (key.text.contains('=') || key.text.contains(' ')))
    return value_error(key, describe(key) + " is not the name of an environment variable");
  value = node.text;
  return require_scalar(node, "a text");
}

}  // namespace

std::expected<std::size_t, ValueError> read_choice(const Node& node, const std::vector<std::string>& names) {
  const std::string expected = "one of " + join_names(names);
  if (const ReadErrors errors = require_scalar(node, expected); !errors.empty())
    return std::unexpected(errors[0]);
  const std::size_t i = index_of(names, node.text);
  if (i < names.size()) return i;
  const std::string suggestion = closest_match(node.text, names);
  return std::unexpected(
      ValueError{node.mark, describe(node) + " is not " + expected +
                                (suggestion.empty() ? "" : ", did you mean \"" + suggestion + "\"?")});
}

ReadErrors read(const Node& node, const Range&, bool& value) {
  constexpr std::string_view kExpected = "true or false";
  if (ReadErrors errors = require_scalar(node, kExpected); !errors.empty()) return errors;
  const Reading<bool> reading = read_bool(node.text);
  if (!reading) return value_error(node, "expected true or false, found " + describe(node));
  value = *reading;
  return {};
}

ReadErrors read(const Node& node, const Range& range, int& value) { return read_number(node, range, value); }
ReadErrors read(const Node& node, const Range& range, std::uint32_t& value) {
  return read_number(node, range, value);
}

ReadErrors read(const Node& node, const Range& range, Bytes& value) {
  Bytes bytes{};
  if (ReadErrors errors = read_amount(node, "an amount of memory (14GiB)", read_bytes, bytes);
      !errors.empty())
    return errors;
  if (bytes.count < range.least || bytes.count > range.most)
    return out_of_range(node,
                        format_range(range, to_exact_string({range.least}), to_exact_string({range.most})));
  value = bytes;
  return {};
}

ReadErrors read(const Node& node, const Range& range, Duration& value) {
  Duration duration{};
  if (ReadErrors errors = read_amount(node, "a duration (30s)", read_duration, duration); !errors.empty())
    return errors;
  if (duration.count() < range.least || duration.count() > range.most)
    return out_of_range(
        node, format_range(range, to_string(Duration{range.least}), to_string(Duration{range.most})));
  value = duration;
  return {};
}

ReadErrors read(const Node& node, const Range&, std::string& value) {
  return read_text(node, "a text", value);
}

ReadErrors read(const Node& node, const Range&, AnyText& value) {
  value.text = node.text;
  return require_scalar(node, "a text");
}

ReadErrors read(const Node& node, const Range&, Path& value) {
  if (ReadErrors errors = read_text(node, "a path (/health)", value.text); !errors.empty()) return errors;
  if (!value.text.starts_with('/') || value.text.contains(' '))
    return value_error(node, describe(node) + " is not a path: it starts with / and has no blanks");
  return {};
}

ReadErrors read(const Node& node, const Range&, FilePath& value) {
  if (ReadErrors errors = read_text(node, "a file", value.text); !errors.empty()) return errors;
  const std::string shown = shown_text(node);
  if (value.text.starts_with('~'))
    return value_error(node, describe(node) + ": nothing replaces ~ here, write ${env.HOME} instead");
  if (has_shell_variable(shown))
    return value_error(node, describe(node) + ": nothing replaces $NAME here, write ${env.NAME}");
  if (value.text.contains("://"))
    return value_error(node, describe(node) + " is a URL; write the path of a file");
  return {};
}

ReadErrors read(const Node& node, const Range&, VariableName& value) {
  if (ReadErrors errors = require_scalar(node, "the name of an environment variable"); !errors.empty())
    return errors;
  const auto is_name_character = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  if (node.text.empty() || std::isdigit(static_cast<unsigned char>(node.text.front())) != 0 ||
      !std::ranges::all_of(node.text, is_name_character))
    return value_error(node,  // not quoted: it may be the secret itself
                       "is not the name of an environment variable: write its name, not its value");
  value.text = node.text;
  return {};
}

ReadErrors read(const Node& node, const Range&, PolicyName& value) {
  const auto i = read_choice(node, policy_names());
  if (!i) return {i.error()};
  value.text = policy_names()[*i];
  return {};
}

ReadErrors read(const Node& node, const Range&, Command& value) {
  if (ReadErrors errors = read_words(node, value.words); !errors.empty()) return errors;
  if (value.words.empty() || value.words.front().empty())
    return value_error(node, "the command is empty: write the program and its arguments");
  const Node& program = node.is_list() ? node.items.front() : node;
  if (const std::string problem = problem_in_program(value.words.front()); !problem.empty())
    return problem_with(program, problem, "the name of a program");
  return {};
}

ReadErrors read(const Node& node, const Range&, Arguments& value) {
  if (ReadErrors errors = read_words(node, value.words); !errors.empty()) return errors;
  if (value.words.empty()) return value_error(node, "the command is empty: leave it out");
  return {};
}

ReadErrors read(const Node& node, const Range&, RequestConfig& value) {
  if (!node.is_map()) return read_request_line(node, value);
  ReadErrors errors;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const Node& key = node.keys[i];
    if (find_item(node, key.text) != &node.items[i])
      append(errors, value_error(key, describe(key) + " is there twice: remove one of them"));
    else if (key.text == "request")
      append(errors, read_request_line(node.items[i], value));
    else if (key.text == "body")
      append(errors, read_body(node.items[i], value));
    else
      append(errors,
             value_error(key, "unknown key " + describe(key) + " in a request (it has request and body)"));
  }
  if (find_item(node, "request") == nullptr)
    append(errors, value_error(node, "a request needs the key request (\"POST /unload\")"));
  return errors;
}

ReadErrors read(const Node& node, const Range& range, std::vector<std::string>& value) {
  return read_distinct(node, "texts", value,
                       [&](const Node& item, std::string& text) { return read(item, range, text); });
}

ReadErrors read(const Node& node, const Range& range, FilePaths& value) {
  return read_distinct(node, "files", value.texts, [&](const Node& item, std::string& text) {
    FilePath path;
    ReadErrors errors = read(item, range, path);
    text = std::move(path.text);
    return errors;
  });
}

ReadErrors read(const Node& node, const Range& range, std::vector<std::uint32_t>& value) {
  return read_list(node, "numbers", value,
                   [&](const Node& item, std::uint32_t& number) { return read(item, range, number); });
}

ReadErrors read(const Node& node, const Range&, std::map<std::string, std::string>& value) {
  const bool is_list = node.is_list() || (node.is_scalar() && node.text.contains('='));
  return read_map(
      node, value,
      std::string("a mapping of names to texts") + (is_list ? " (NAME: text, not NAME=text)" : ""),
      read_variable);
}

ReadErrors read(const Node& node, const Range& range, std::map<std::string, Bytes>& value) {
  if (!node.is_list())
    return read_map(node, value, "a list of names, or a mapping of names to footprints",
                    [&](const Node& key, const Node& one, Bytes& bytes) {
                      if (!one.is_null()) return read(one, range, bytes);
                      return value_error(key,
                                         describe(key) + " has no footprint: write 0 for the consumer's");
                    });
  std::vector<std::string> names;
  ReadErrors errors = read(node, range, names);
  for (std::string& name : names) value.emplace(std::move(name), Bytes{});
  return errors;
}

}  // namespace mgpu::config
