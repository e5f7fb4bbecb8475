// `mgpu-simgpu hold`: a process that sits on device memory, for tests, demos and trying things out.
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

// Takes the bytes of the file `path`, runs the command and returns its exit code (128 + n if signal n ended
// it). SIGINT and SIGTERM are passed on to it. kExitOutOfMemory if the bytes are refused. The bytes come back
// with exit_status().
int hold_memory(const std::string& path, const HoldOptions& options);

}  // namespace mgpu::simgpu
