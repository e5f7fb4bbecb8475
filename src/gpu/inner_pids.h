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
std::optional<int> inner_pid(std::string_view status);

class InnerPids {
 public:
  explicit InnerPids(std::string proc = "/proc") : proc_(std::move(proc)) {}

  // Puts the host's pids into the list. Where none or several processes may be meant the pid stays as it is:
  // its bytes are then nobody's, foreign.
  void translate(std::vector<ProcessUse>& processes);

 private:
  struct Found {
    int inner = 0;
    std::optional<int> host{};
    std::uint64_t start_time = 0;  // of the host's process, against reuse
  };
  bool still_true(const Found& found) const;
  void look_for(const std::vector<int>& unknown);

  std::string proc_;
  std::vector<Found> found_{};
  std::chrono::steady_clock::time_point look_again_{};
};

}  // namespace mgpu::gpu
