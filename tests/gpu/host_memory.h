// The host's memory, in which parked bytes and the page cache are.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace mgpu::gpu_check {

// MemAvailable of /proc/meminfo in bytes; 0: unknown. A container's limit may be lower.
inline std::uint64_t host_memory_available() {
  const std::string key = "MemAvailable:";
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return std::stoull(line.substr(key.size())) * 1024;
  return 0;
}

}  // namespace mgpu::gpu_check
