// The processes below this one, as /proc tells: who they are, and ending them. Complete where this process is
// a child subreaper (PR_SET_CHILD_SUBREAPER): then orphans stay below it, whatever session or group they made
// for themselves.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include <sys/types.h>

namespace mgpu::cli {

// Children, their children, and so on; zombies are not among them.
std::vector<pid_t> living_descendants(pid_t root);

struct TerminationLimits {
  std::chrono::milliseconds grace{};  // between SIGTERM and SIGKILL
  std::chrono::milliseconds limit{};  // for the whole
};

// SIGTERM to all living descendants of this process, and SIGKILL to who is left after the grace or once
// `hurry` says so; all children that end meanwhile are reaped. False: some live on (they hang in a driver, or
// belong to another user).
bool terminate_descendants(TerminationLimits limits, const std::function<bool()>& skip_grace);

}  // namespace mgpu::cli
