// Splits a command line into words as a shell does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mgpu::config {

// Words are separated by blanks; 'single' and "double" quotes and backslashes work as in a shell. Nothing is
// expanded: $HOME, * and | stay as they are. Error: invalid_request (unclosed quote, backslash at the end).
Result<std::vector<std::string>> split_shell_words(std::string_view text);

}  // namespace mgpu::config
