// Reads small files of /sys and /proc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mgpu::gpu {

// The whole file; empty if it can't be read.
std::string read_file_text(const std::string& path);

// The number at the beginning of the file; nullopt if there is none.
std::optional<std::int64_t> read_file_number(const std::string& path);

// The value of `key` in a file of lines "key value" or "key=value"; empty if it is absent.
std::string read_file_value(const std::string& path, const std::string& key);

}  // namespace mgpu::gpu
