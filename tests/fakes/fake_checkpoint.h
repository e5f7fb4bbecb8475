// Parking of processes that hold memory of the simulated GPU (env MGPU_SIMGPU), for the fake utility and the
// fake driver library.
//
// Two files next to the simulated GPU's FILE: FILE.checkpoint-log gets a line "ACTION PID" for each action;
// FILE.checkpoint-fault contains faults to inject: lock-hangs, lock-times-out, checkpoint-fails,
// checkpoint-hangs, restore-fails, restore-kills, not-supported, init-fails, only-toggle (like the utility of
// driver 550).
#pragma once

#include <optional>
#include <string>

#include "simgpu/state.h"

namespace mgpu::fakes {

bool has_checkpoint_fault(const std::string& fault);

std::optional<simgpu::CheckpointState> read_checkpoint_state(int pid);

// `action`: lock, checkpoint, restore, unlock. Returns a code of the CUDA driver: 0 success, 600 a lock that
// was not got in time, 801 not supported, ... A fault that hangs does not return.
int run_checkpoint_action(const std::string& action, int pid);

}  // namespace mgpu::fakes
