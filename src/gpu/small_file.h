// Small files of /sys and /proc, read at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mgpu::gpu {

// Empty where there is no such file, or it can't be read.
std::string read_file_text(const std::string& path);

// The number that the file begins with.
std::optional<std::int64_t> read_file_number(const std::string& path);

// The value of `key` in a file of lines "key value" or "key=value"; empty if it is not there.
std::string read_file_value(const std::string& path, const std::string& key);

}  // namespace mgpu::gpu
