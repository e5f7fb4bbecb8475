// A command line as words, as a shell splits it. No shell runs the command, so what only a shell could do
// (variables, pipes, patterns) is refused instead of being passed on as text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/node.h"

namespace mgpu::config {

// Words are separated by blanks and line breaks. 'single' and "double" quotes, backslashes, a backslash at
// the end of a line and # comments work as in a shell. A backslash alone between blanks is the end of a line
// that YAML has folded. `literal`, in the order of the text: parts that are plain text; ${PORT} is another.
// Error: invalid_config, with what to write instead: an unclosed quote; an operator, variable, pattern or ~
// outside of single quotes, except in the script after `sh -c`.
Result<std::vector<std::string>> split_shell_words(std::string_view text,
                                                   std::span<const Substitution> literal = {});

// The text without its comments. They may contain anything, also variables that are not defined.
std::string without_shell_comments(std::string_view text);

// What is wrong with a command that is written as a list, empty if nothing is: text that only a shell would
// understand, or an option and its value in one word. REQUIRES: the words are as they may be shown.
std::string problem_in_word_list(const std::vector<std::string>& words);

// A text that split_shell_words() splits into these words.
std::string to_shell_text(const std::vector<std::string>& words);

// What is wrong with a command whose first word is `program`; empty if nothing is: VAR=x before it, or a
// builtin of the shell.
std::string problem_in_program(std::string_view program);

}  // namespace mgpu::config
