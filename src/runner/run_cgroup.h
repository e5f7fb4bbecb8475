// The cgroup (v2) of a run: no process of the run can leave it by a new session, a new parent or another
// environment. One is made below the daemon's own cgroup where that is permitted: with systemd's Delegate=,
// or as root. Where it is not, RunProcesses finds the processes in other ways.
//
// The environment variable MGPU_CGROUP names another folder to make them in, or is "off".
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mgpu::runner {

class RunCgroup {
 public:
  // None: there is no cgroup2 tree, or it may not be changed.
  static std::optional<RunCgroup> create(const std::string& run_id);
  // The cgroup that some start of the daemon made for the run of this process. None: it is in none.
  static std::optional<RunCgroup> find(int pid);
  // Those that exist below this daemon's own cgroup, of all daemons that used the same one.
  static std::vector<RunCgroup> find_all();

  const std::string& run_id() const { return run_id_; }
  // A descriptor to which a process writes "0" to enter; the caller closes it. -1: not permitted.
  int open_to_enter() const;
  std::vector<int> pids() const;  // also of cgroups that the processes made below it
  // Sends SIGKILL to all of it at once. False: this kernel can't (before 5.14).
  bool kill() const;
  void remove() const;  // has no effect while a process is in it

 private:
  RunCgroup(std::string folder, std::string run_id)
      : folder_(std::move(folder)), run_id_(std::move(run_id)) {}
  std::string folder_;
  std::string run_id_;
};

// The folder of a cgroup, from /proc/self/mountinfo and the text of /proc/PID/cgroup. Empty: no cgroup2 tree
// is mounted, or the cgroup is outside of what is mounted. Pure.
std::string cgroup_folder(const std::string& mountinfo, const std::string& cgroup);

}  // namespace mgpu::runner
