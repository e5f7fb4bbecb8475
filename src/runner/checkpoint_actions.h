// What can be done with one CUDA process to move its device memory to host memory and back, and the order in
// which it is done with several. Two sets of actions exist: the driver's calls (cuda_driver.h) and NVIDIA's
// utility (checkpoint_utility.h).
//
// Everything here blocks, for seconds where much memory is copied: it runs in the short-lived helper process
// of checkpoint_helper.h, never in the daemon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace mgpu::runner {

class CheckpointActions {
 public:
  virtual ~CheckpointActions() = default;

  // "running", "locked", "checkpointed", "failed", ... Error: unavailable.
  virtual Result<std::string> query_state(int pid, Duration limit) = 0;

  // `action`: lock (its CUDA calls block), checkpoint (its device memory goes to host memory), restore (it
  // comes back), unlock (its calls continue). Error: unavailable. The driver's calls keep to `limit` only in
  // a lock.
  virtual Result<void> run_action(std::string_view action, int pid, Duration limit) = 0;

  // The utility of driver 550 has no states and actions, only the change from running to checkpointed and
  // back. Then only toggle() is called, otherwise never.
  virtual bool only_toggles() { return false; }
  virtual Result<void> toggle(int pid, Duration limit);
};

// All processes are locked before the first is checkpointed: otherwise a running one could wait for a blocked
// one. On failure the steps are undone as far as possible, so that the processes continue. Error:
// unavailable.
Result<void> park(CheckpointActions& actions, const std::vector<int>& pids, Duration limit);

// All are restored before the first is unlocked. Error: unavailable; then the processes may be blocked for
// ever: a driver whose restore failed for lack of memory never restores that process again.
Result<void> resume(CheckpointActions& actions, const std::vector<int>& pids, Duration limit);

// Each process separately: restored if it is checkpointed, unlocked if it is locked.
void roll_back(CheckpointActions& actions, const std::vector<int>& pids);

}  // namespace mgpu::runner
