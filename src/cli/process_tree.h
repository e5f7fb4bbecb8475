// Finds and ends the descendants of a process, from /proc. Complete only where the process is a child
// subreaper (PR_SET_CHILD_SUBREAPER): orphans then stay its descendants, in whatever session or process group
// they are.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace mgpu::cli {

struct TerminationLimits {
  std::chrono::milliseconds grace{};  // between SIGTERM and SIGKILL
  std::chrono::milliseconds limit{};  // for all of it
};

// Sends SIGTERM to all descendants of this process, and SIGKILL to those that are left after `grace` or once
// `skip_grace` returns true. Reaps children that end meanwhile. False: some are left after `limit` (they hang
// in a driver, or belong to another user).
bool terminate_descendants(TerminationLimits limits, const std::function<bool()>& skip_grace);

// The value of MGPU_RUN for what this process starts, by which the daemon finds it wherever it goes. The
// daemon makes the same of this process' pid (lease_run_id in gpu/run_mark.h).
std::string make_run_id();

}  // namespace mgpu::cli
