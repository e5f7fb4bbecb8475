// Text of strangers, on its way to people: bounded, in one line, and without what would steer a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mgpu {

// `text` with at most `most` bytes: cut between two characters of UTF-8, control characters (also those above
// 0x7f, and DEL) left out. What is not UTF-8 becomes '?'.
std::string printable(std::string_view text, std::size_t most);

}  // namespace mgpu
