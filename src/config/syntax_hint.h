// What a person probably meant where YAML can't be read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

// The end of the message about an error found in `lines[line]`: " (a tab indents line 3: ...)"; empty if
// nothing is recognized there or in the line before.
std::string syntax_hint(const std::vector<std::string_view>& lines, std::size_t line);

}  // namespace mgpu::config
