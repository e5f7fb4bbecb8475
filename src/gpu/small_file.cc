#include "gpu/small_file.h"

#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

namespace mgpu::gpu {

std::string text_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return std::move(text).str();
}

std::optional<std::int64_t> number_in_file(const std::string& path) {
  const std::string text = text_of_file(path);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

std::string value_in_file(const std::string& path, const std::string& key) {
  std::istringstream lines(text_of_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key) || line.size() <= key.size()) continue;
    const char next = line[key.size()];
    if (next == '=' || next == ' ') return line.substr(key.size() + 1);
  }
  return {};
}

}  // namespace mgpu::gpu
