// Formats numbers and tables for a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mgpu::cli {

// 1 -> "1st", 12 -> "12th", 23 -> "23rd".
std::string ordinal(std::uint64_t n);

// 0.4 -> "<1 ms", 12 -> "12 ms", 1234 -> "1.2 s", 90'000 -> "1 min 30 s", 7'260'000 -> "2 h 1 min".
std::string format_duration(double ms);

// Left-aligned columns, each as wide as its widest cell. Control characters in cells are escaped
// (base/sanitize.h). Rows may have fewer cells than the first.
std::string format_table(std::vector<std::vector<std::string>> rows);

}  // namespace mgpu::cli
