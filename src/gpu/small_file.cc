#include "gpu/small_file.h"

#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

namespace mgpu::gpu {

std::string read_file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return std::move(text).str();
}

std::optional<std::int64_t> read_file_number(const std::string& path) {
  const std::string text = read_file_text(path);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

std::string read_file_value(const std::string& path, const std::string& key) {
  std::istringstream lines(read_file_text(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key) || line.size() <= key.size()) continue;
    const char next = line[key.size()];
    if (next == '=' || next == ' ') return line.substr(key.size() + 1);
  }
  return {};
}

}  // namespace mgpu::gpu
