// Reads from /proc what attribution needs, for the given pids and their ancestors only. All functions return
// the state at the time of the call; a process that has exited is absent.
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
  char state = '?';  // 'Z': exited and without memory, but its parent has not waited for it yet
  bool kernel_thread = false;
  std::uint64_t start_time = 0;  // clock ticks since boot; (pid, start_time) is unique
  std::string command{};  // arguments joined by blanks, at most 256 bytes; without arguments the short name
  CgroupNames cgroup{};   // set by read_process_table for the given pids, not for their ancestors
};

using ProcessTable = std::map<int, ProcessStat>;

// Parses /proc/PID/stat; does not set `command`. nullopt: not a valid text.
std::optional<ProcessStat> parse_stat(std::string_view text);

// One process, with its command. nullopt: it does not exist.
std::optional<ProcessStat> read_process(int pid, const std::string& proc = "/proc");

// The unit, container and job of one process; all empty if it does not exist.
CgroupNames read_cgroup(int pid, const std::string& proc = "/proc");

// The given processes and all their ancestors.
ProcessTable read_process_table(std::span<const int> pids, const std::string& proc = "/proc");

// The numeric names in a folder of /proc: pids, file descriptors. nullopt: permission denied.
std::optional<std::vector<int>> list_numeric_entries(const std::string& folder);

// The process that listens on `port` at loopback or at any address; of several (workers that inherited the
// socket) the oldest. nullopt: none, or it belongs to another user and can't be inspected.
std::optional<int> find_listener_pid(std::uint16_t port);

}  // namespace mgpu::gpu
