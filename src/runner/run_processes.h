// All living processes of one run on this host, wherever they went: workers in sessions of their own, double
// forks, servers that a script left in the background. They are found by the run's cgroup, by the mark in the
// environment that they inherit (gpu/run_mark.h), by the leader's process group, and by descent from any of
// these; and what was found once stays found, also with another parent and environment.
//
// Without a cgroup a process escapes that forked twice, cleared its environment and left the group before the
// first look. Processes of other users are seen only by cgroup, group and descent.
//
// Thread rule: none; a look reads /proc, some ten microseconds for each process of the host.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/process_recovery.h"
#include "runner/run_cgroup.h"

namespace mgpu::runner {

// A new id for a run of this daemon. `mark`: as in process_recovery.h; empty for a run that must not outlive
// the daemon.
std::string make_run_id(std::string_view mark);

// What the id of a run tells about its origin.
struct RunOrigin {
  std::string mark_hash{};  // see hash_of_mark
  DaemonInstance daemon{};  // that started it
};
std::optional<RunOrigin> parse_run_id(std::string_view id);  // none: not one of make_run_id
std::string hash_of_mark(std::string_view mark);             // "0" without a mark

// Whether a process lives that has this id in its environment.
bool has_processes_of_run(const std::string& run_id);

class RunProcesses {
 public:
  // Of a run that is about to start.
  explicit RunProcesses(std::string run_id);
  // Of a run that an earlier start of the daemon began. REQUIRES: the leader is alive.
  static RunProcesses of_leader(int leader);

  RunProcesses(RunProcesses&& other) = default;
  RunProcesses& operator=(RunProcesses&& other) = default;

  const std::string& run_id() const { return run_id_; }
  const std::optional<RunCgroup>& cgroup() const { return cgroup_; }

  void set_leader(int pid);            // once it runs; its pid is also the number of its process group
  void forget_group() { group_ = 0; }  // the group has ended: its number may be reused

  void look();                    // remembers all that belong to the run now
  bool any_left();                // looks again when all that are known have ended
  bool contains(int pid);         // looks again unless it is known
  std::vector<int> pids() const;  // alive at the last look, the oldest first

  // Looks, then sends the signal to all of them, without those of `except_group`.
  void signal(int number, int except_group = 0);
  void kill();  // SIGKILL to all

 private:
  RunProcesses() = default;
  bool is_alive(int pid, std::uint64_t start_time) const;

  std::string run_id_;
  std::optional<RunCgroup> cgroup_{};
  int group_ = 0;                 // 0: none
  std::uint64_t started_at_ = 0;  // of the leader, in clock ticks since boot: no older process belongs
  std::map<int, std::uint64_t> known_{};  // pid and start time
};

}  // namespace mgpu::runner
