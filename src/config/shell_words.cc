#include "config/shell_words.h"

#include <utility>

namespace mgpu::config {

Result<std::vector<std::string>> split_shell_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;  // distinguishes the empty word "" from no word
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (quote == 0 && blank) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '\\' && quote != '\'') {
      if (++i == text.size())
        return fail(ErrorCode::invalid_request, "the command ends with a backslash: remove it, or double it");
      // Within double quotes a backslash escapes only special characters and else stays.
      if (quote == '"' && text[i] != '"' && text[i] != '\\' && text[i] != '$' && text[i] != '`') word += '\\';
      word += text[i];
    } else {
      word += c;
    }
  }
  if (quote != 0)
    return fail(ErrorCode::invalid_request, std::string("the quote ") + quote +
                                                " is never closed: close it, or escape it with a backslash");
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace mgpu::config
