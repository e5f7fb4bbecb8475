// Processes of an earlier start of the daemon: how they are recognized, and how their output is read. They
// are not children of this process and can't be waited for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mgpu::runner {

// The descriptor by which a process that outlives the daemon holds the reading end of its own output. So it
// gets no SIGPIPE when the daemon ends, and the next start of the daemon can read what was written meanwhile.
inline constexpr int kInheritedOutputFd = 3;

// Identifies the boot of the host; pids and start times of another boot are meaningless.
std::string boot_id();

// A pidfd of the process with this pid and start time (clock ticks since boot). Error: not_found (it has
// ended, or the pid was reused).
Result<int> open_pidfd(int pid, std::uint64_t start_time);

// The reading end of the process' output; the caller closes it. -1: the process has closed it, or writes
// elsewhere.
int reopen_output(int pid);

// The processes of the group, without zombies.
std::vector<int> live_group_members(int group);

// The environment variable of a started process, inherited by its children: "MARK CONSUMER", the daemon's
// mark and the consumer.
inline constexpr const char* kMarkVariable = "MGPU_STARTED_AS";
// The same for the daemon that started it: "PID START_TIME".
inline constexpr const char* kStarterVariable = "MGPU_STARTED_BY";

// One start of a daemon.
struct DaemonInstance {
  int pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot
  friend bool operator==(const DaemonInstance&, const DaemonInstance&) = default;
};
DaemonInstance current_daemon_instance();
std::string to_string(const DaemonInstance& instance);  // as in kStarterVariable

std::optional<DaemonInstance> parse_daemon_instance(const std::string& text);  // ignores text behind it

// Whether it still runs and is not this process.
bool is_other_live_daemon(const DaemonInstance& instance);

// A variable of the process' environment when it started. Empty: not set, no permission, or the process ended.
std::string read_environment_variable(int pid, std::string_view name);

struct MarkedProcess {
  int pid = 0;
  std::string consumer{};
  std::string mark{};
  std::optional<DaemonInstance> starter{};  // null: an older mgpu, which did not set kStarterVariable
};

// The mark in the process' environment. Null: it has none, permission is missing, or the process has ended.
std::optional<MarkedProcess> read_process_mark(int pid);

// The running processes with the mark whose environment is readable, without this process.
std::vector<MarkedProcess> find_marked_processes(std::string_view mark);

// Sends SIGKILL if the pid is still that of a process with the mark; returns whether it is.
bool kill_marked_process(int pid, std::string_view mark);

}  // namespace mgpu::runner
