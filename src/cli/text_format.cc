#include "cli/text_format.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/sanitize.h"

namespace mgpu::cli {
namespace {

// In characters: continuation bytes of UTF-8 do not count.
std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string ordinal(std::uint64_t n) {
  const bool teens = n % 100 >= 11 && n % 100 <= 13;
  const char* ending = "th";
  if (!teens && n % 10 == 1) ending = "st";
  if (!teens && n % 10 == 2) ending = "nd";
  if (!teens && n % 10 == 3) ending = "rd";
  return fmt::format("{}{}", n, ending);
}

std::string format_duration(double ms) {
  if (ms <= 0) return "0 ms";
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return fmt::format("{:.0f} ms", std::floor(ms));
  if (ms < 60'000) return fmt::format("{:.1f} s", std::floor(ms / 100) / 10);
  const auto seconds = static_cast<std::int64_t>(ms / 1000);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string format_table(std::vector<std::vector<std::string>> rows) {
  // Names come from clients and services: a line break in one would fake rows.
  for (auto& row : rows)
    for (std::string& cell : row) cell = sanitize_text(cell);
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - display_width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace mgpu::cli
