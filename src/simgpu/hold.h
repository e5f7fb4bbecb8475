// `mgpu-simgpu hold`: a process that holds device memory, for tests and demos.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mgpu::simgpu {

struct HoldOptions {
  unsigned device = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> command{};  // empty: hold until SIGINT or SIGTERM
};

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitOutOfMemory = 3;

// Allocates the bytes in the file `path`, runs the command and returns its exit code (128 + n if signal n
// ended it), or kExitOutOfMemory if the bytes are refused. SIGINT and SIGTERM are forwarded to the command.
// The bytes become free when this process exits.
int hold_memory(const std::string& path, const HoldOptions& options);

}  // namespace mgpu::simgpu
