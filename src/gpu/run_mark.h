// How the processes of one run of an application are recognised, wherever they went: by an environment
// variable that children inherit, and by the name of the cgroup that the daemon made for the run. Both carry
// the id of the run, which is unique on this host and boot.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mgpu::gpu {

// Set for whatever the daemon and `mgpu run` start. A run inside another one has the inner one's value.
inline constexpr const char* kRunVariable = "MGPU_RUN";
inline constexpr std::string_view kRunCgroupPrefix = "mgpu-run-";

// The id of what `mgpu run` starts: of its own pid and start time, in clock ticks since boot.
std::string lease_run_id(int pid, std::uint64_t start_time);

// The id in a path of /proc/PID/cgroup: "4711-9" of "0::/mgpu.service/mgpu-run-4711-9/worker". Of nested ones
// the innermost. Empty: none. Pure.
std::string run_id_of_cgroup(std::string_view text);

// A variable of an environment block as /proc/PID/environ has it: entries that end in a NUL byte. Empty: not
// set. Pure.
std::string find_in_environment(std::string_view block, std::string_view name);

// The id of the run that a process belongs to, by its environment, else by its cgroup. Empty: none, or it
// can't be read (another user's process), or the process has ended.
std::string read_run_id(int pid, const std::string& proc = "/proc");

}  // namespace mgpu::gpu
