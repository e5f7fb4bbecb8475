#include "config/syntax_hint.h"

#include <algorithm>

#include "config/characters.h"

namespace mgpu::config {
namespace {

// Where the text outside of quotes has `what`; npos if nowhere. A comment ends the search.
std::size_t find_unquoted(std::string_view line, std::string_view what) {
  char quote = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (quote == 0 && line.substr(at).starts_with(what)) return at;
    if (quote == 0 && c == '#' && (at == 0 || line[at - 1] == ' ')) return std::string_view::npos;
    if (c == quote)
      quote = 0;
    else if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
  }
  return std::string_view::npos;
}

bool has_unquoted(std::string_view line, std::string_view what) {
  return find_unquoted(line, what) != std::string_view::npos;
}

std::string_view indentation(std::string_view line) {
  return line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
}

// A value that begins with one of YAML's own signs.
char reserved_sign(std::string_view line) {
  for (const char sign : {'*', '&', '%', '@', '`', '!'})
    for (const std::string_view before : {": ", "- ", "[", ", "})
      if (has_unquoted(line, std::string(before) + sign)) return sign;
  return 0;
}

std::string hint_for_line(std::string_view line, const std::string& number) {
  if (indentation(line).contains('\t'))
    return " (a tab indents line " + number + ": YAML is indented with blanks only)";
  const std::string_view text = line.substr(indentation(line).size());
  if (odd_blank_size(text) != 0)
    return " (line " + number + " is indented with a blank that is not the usual one: write plain blanks)";
  const bool in_flow = has_unquoted(line, "[") || has_unquoted(line, " {") || text.starts_with('{');
  if (has_unquoted(line, "${") && in_flow)
    return " (within { } and [ ], ${...} needs quotes around the value: \"${...}\")";
  if (text.starts_with("<<<<<<<") || text.starts_with("=======") || text.starts_with(">>>>>>>"))
    return " (line " + number + " is the mark of a merge conflict)";
  if (const char sign = reserved_sign(line); sign != 0)
    return std::string(" (a value that begins with ") + sign + " needs quotes around it)";
  const std::size_t colon = find_unquoted(line, ": ");
  if (colon != std::string_view::npos && has_unquoted(line.substr(colon + 2), ": "))
    return " (a value that contains a colon and a blank needs quotes around it)";
  return {};
}

// A line that begins with KEY: cannot stand here because of the line before it.
std::string hint_for_lines(std::string_view before, std::string_view line, std::size_t number) {
  const std::string_view text = before.substr(indentation(before).size());
  if (text.empty() || text.starts_with('#') || !has_unquoted(line, ":")) return {};
  if (!has_unquoted(text, ":") && !text.starts_with('-'))
    return " (line " + std::to_string(number - 1) + " has no colon: write KEY: VALUE)";
  if (indentation(line).size() > indentation(before).size() && !text.ends_with(':'))
    return " (line " + std::to_string(number) +
           " is indented more than the key before it, which has a value already)";
  return {};
}

// A line in a mapping begins where another line of it began.
std::string hint_for_indentation(const std::vector<std::string_view>& lines, std::size_t line) {
  const std::size_t size = indentation(lines[line]).size();
  if (size == 0 || !has_unquoted(lines[line], ":")) return {};
  for (std::size_t before = 0; before < line; ++before)
    if (indentation(lines[before]).size() == size) return {};
  return " (the indentation of line " + std::to_string(line + 1) + " is that of no line before it)";
}

}  // namespace

std::string syntax_hint(const std::vector<std::string_view>& lines, std::size_t line) {
  for (std::size_t back = 0; back < 2 && back <= line; ++back)
    if (line - back < lines.size())
      if (std::string hint = hint_for_line(lines[line - back], std::to_string(line - back + 1));
          !hint.empty())
        return hint;
  if (line == 0 || line >= lines.size()) return {};
  const std::string hint = hint_for_lines(lines[line - 1], lines[line], line + 1);
  return hint.empty() ? hint_for_indentation(lines, line) : hint;
}

}  // namespace mgpu::config
