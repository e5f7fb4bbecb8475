// Processes as /proc tells: just what attribution asks for, for the given pids and their ancestors only.
// All functions answer for the moment of the call; a process that has gone is simply absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/cgroup.h"

namespace mgpu::gpu {

struct ProcessStat {
  int parent = 0;
  int group = 0;
  char state = '?';  // 'Z': dead, and its memory is gone, but nobody asked for its exit code yet
  bool kernel_thread = false;
  std::uint64_t start_time = 0;  // clock ticks since boot; with the pid it names a process for good
  std::string command{};  // arguments joined by blanks, cut at 256 bytes; the short name where there are none
  CgroupNames cgroup{};   // read_process_table: of the processes that were asked for, not of their ancestors
};

using ProcessTable = std::map<int, ProcessStat>;

// The text of /proc/PID/stat without its command. None: not such a text.
std::optional<ProcessStat> parse_stat(std::string_view text);

// One process, with its command. None: it does not exist (any more).
std::optional<ProcessStat> read_process(int pid, const std::string& proc = "/proc");

// The unit, container and job of one process; all empty if it does not exist.
CgroupNames read_cgroup(int pid, const std::string& proc = "/proc");

// The given processes and all their ancestors.
ProcessTable read_process_table(std::span<const int> pids, const std::string& proc = "/proc");

// The names in a folder of /proc that are numbers: pids, file descriptors. None: we may not look into it.
std::optional<std::vector<int>> list_numeric_entries(const std::string& folder);

// Who listens on `port` at loopback or at every address. Of several (workers that inherited the socket) the
// oldest. None: nobody, or the process belongs to another user and we may not look.
std::optional<int> find_listener_pid(std::uint16_t port);

}  // namespace mgpu::gpu
