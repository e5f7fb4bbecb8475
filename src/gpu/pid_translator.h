// Drivers should list pids as the host sees them; some list the pid that a process has inside its container.
// Such a pid does not exist on the host, or is a kernel thread's, which holds no device memory: then the one
// process that is called so in a pid namespace of its own is meant.
//
// Looking for it means reading the status of every process, so what was found, or not found, is remembered.
// Not thread-safe: one for each thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/provider.h"

namespace mgpu::gpu {

// The innermost pid that the text of /proc/PID/status tells (NSpid). None: the process is in no namespace of
// its own.
std::optional<int> parse_namespace_pid(std::string_view status);

class PidTranslator {
 public:
  explicit PidTranslator(std::string proc = "/proc") : proc_(std::move(proc)) {}

  // Puts the host's pids into the list. Where none or several processes may be meant the pid stays as it is:
  // its bytes are then nobody's, foreign.
  void translate(std::vector<ProcessUsage>& processes);

 private:
  struct Mapping {
    int namespace_pid = 0;
    std::optional<int> host_pid{};
    std::uint64_t start_time = 0;  // of the host's process, against reuse
  };
  bool is_current(const Mapping& mapping) const;
  void refresh_mappings(const std::vector<int>& unknown);

  std::string proc_;
  std::vector<Mapping> mappings_{};
  std::chrono::steady_clock::time_point next_refresh_{};
};

}  // namespace mgpu::gpu
