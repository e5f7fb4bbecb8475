// Processes that an earlier life of the daemon started: knowing them again, and taking over what they write.
// They are nobody's children any more that we could wait for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mgpu::runner {

// The fd under which a process that outlives us holds the reading end of its own output. With it nobody ends
// by SIGPIPE when the daemon dies, and the next daemon finds what was written meanwhile.
inline constexpr int kInheritedOutputFd = 3;

// Which boot of the machine this is; start times and pids of another one mean nothing.
std::string boot_id();

// A pidfd of the process with this pid and start time (clock ticks since boot). Error: not_found (it is gone,
// or its number is somebody else's now).
Result<int> open_pidfd(int pid, std::uint64_t start_time);

// The reading end of what the process writes; the caller closes it. -1: it has closed it, or writes
// elsewhere.
int reopen_output(int pid);

// The processes of the group that live (zombies do not).
std::vector<int> live_group_members(int group);

// The environment variable that tells whose process it is, and its children's: "MARK CONSUMER".
inline constexpr const char* kMarkVariable = "MGPU_STARTED_AS";
// Likewise which life of the daemon started it: "PID START_TIME".
inline constexpr const char* kStarterVariable = "MGPU_STARTED_BY";

// One life of a daemon.
struct DaemonInstance {
  int pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot
  friend bool operator==(const DaemonInstance&, const DaemonInstance&) = default;
};
DaemonInstance current_daemon_instance();
std::string to_string(const DaemonInstance& instance);  // as in kStarterVariable

std::optional<DaemonInstance> parse_daemon_instance(
    const std::string& text);  // the reverse; what follows it does not matter

// Whether it is not over, and not this one.
bool is_other_live_daemon(const DaemonInstance& instance);

struct MarkedProcess {
  int pid = 0;
  std::string consumer{};
  std::string mark{};
  std::optional<DaemonInstance> starter{};  // none: an mgpu started it that did not say
};

// What the process itself says. None: it has no mark, or we may not look, or it has ended.
std::optional<MarkedProcess> read_process_mark(int pid);

// The living processes that carry the mark, as far as we may look; never ourselves.
std::vector<MarkedProcess> find_marked_processes(std::string_view mark);

// SIGKILL, if the number still belongs to a process with the mark. Whether it did.
bool kill_marked_process(int pid, std::string_view mark);

}  // namespace mgpu::runner
