// Translates container pids in a driver's process list to host pids. Drivers should list host pids, but some
// list the pid that a process has inside its container. Such a pid does not exist on the host, or belongs to
// a kernel thread, which never holds device memory. Then the process with this pid in a pid namespace of its
// own is meant.
//
// Finding it requires reading the status of every process, so the results, also negative ones, are cached.
// Not thread-safe: use one object per thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/provider.h"

namespace mgpu::gpu {

// The innermost pid in the text of /proc/PID/status (NSpid). nullopt: the process has no pid namespace of its
// own.
std::optional<int> parse_namespace_pid(std::string_view status);

class PidTranslator {
 public:
  explicit PidTranslator(std::string proc = "/proc") : proc_(std::move(proc)) {}

  // Replaces container pids by host pids. If no process or several processes match, the pid stays, and its
  // bytes count as foreign.
  void translate(std::vector<ProcessUsage>& processes);

 private:
  struct Mapping {
    int namespace_pid = 0;
    std::optional<int> host_pid{};
    std::uint64_t start_time = 0;  // of the host's process; detects a reused pid
  };
  bool is_current(const Mapping& mapping) const;
  void refresh_mappings(const std::vector<int>& unknown);

  std::string proc_;
  std::vector<Mapping> mappings_{};
  std::chrono::steady_clock::time_point next_refresh_{};
};

}  // namespace mgpu::gpu
