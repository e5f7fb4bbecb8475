// The hidden command `mgpu cuda-checkpoint`: the process that calls the driver to park and resume other
// processes. The daemon starts it for each parking (cuda_checkpoint.h), because the calls block, can't be
// interrupted, and first attach to every device: a daemon that did so itself could hang with the driver, and
// would hold the devices open.
//
//   mgpu cuda-checkpoint probe                                            has the driver the calls?
//   mgpu cuda-checkpoint park|resume|undo LIMIT_MS [--utility PATH] PID...
//
// With --utility, NVIDIA's utility is used instead of the driver's calls.
#pragma once

#include <string>
#include <vector>

namespace mgpu::runner {

inline constexpr const char* kCheckpointCommand = "cuda-checkpoint";

// `words`: what follows the command's name. Returns the exit code: 0 success; 1 failure, with the reason on
// stdout; 2 wrong usage.
int run_checkpoint_helper(const std::vector<std::string>& words);

}  // namespace mgpu::runner
