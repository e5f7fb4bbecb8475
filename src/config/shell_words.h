// A command line cut into words as a shell would cut it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mgpu::config {

// Blanks separate; 'single' and "double" quotes and backslashes keep together. Nothing is expanded: $HOME, *
// and | stay as they are. Error: invalid_request (a quote that is never closed, a backslash at the end).
Result<std::vector<std::string>> split_shell_words(std::string_view text);

}  // namespace mgpu::config
