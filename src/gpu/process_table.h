// Reads from /proc what attribution needs, for the given pids and their ancestors only. All functions return
// the state at the time of the call; a process that has exited is absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
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
  // Set by read_process_table for the given pids, not for their ancestors.
  CgroupNames cgroup{};
  std::string run{};  // id of the run that it belongs to (gpu/run_mark.h); empty: none
};

using ProcessTable = std::map<int, ProcessStat>;

// Parses /proc/PID/stat; does not set `command`. nullopt: not a valid text.
std::optional<ProcessStat> parse_stat(std::string_view text);

// One process, without its command. nullopt: it does not exist.
std::optional<ProcessStat> read_stat(int pid, const std::string& proc = "/proc");

// Whether it has exited, and its parent has only not waited for it yet.
inline bool has_ended(const ProcessStat& process) { return process.state == 'Z' || process.state == 'X'; }

// One process, with its command. nullopt: it does not exist.
std::optional<ProcessStat> read_process(int pid, const std::string& proc = "/proc");

// The unit, container and job of one process; all empty if it does not exist.
CgroupNames read_cgroup(int pid, const std::string& proc = "/proc");

// The given processes and all their ancestors.
ProcessTable read_process_table(std::span<const int> pids, const std::string& proc = "/proc");

// Whether the process is `ancestor` or descends from it, by its present parents. False for ancestor 0.
bool descends_from(int pid, int ancestor);

// The numeric names in a folder of /proc: pids, file descriptors. nullopt: permission denied.
std::optional<std::vector<int>> list_numeric_entries(const std::string& folder);

// The process that listens on `port` at loopback or at any address; of several (workers that inherited the
// socket) the oldest. nullopt: none, or it belongs to another user and can't be inspected.
std::optional<int> find_listener_pid(std::uint16_t port);

// The processes that have a socket of these links open (TcpSocket::inode_link), the oldest first; without
// those that can't be inspected.
std::vector<int> find_socket_holders(const std::set<std::string>& links);

// The short name of a process, at most 15 bytes: "python3". Empty: it does not exist.
std::string read_process_name(int pid, const std::string& proc = "/proc");

}  // namespace mgpu::gpu
