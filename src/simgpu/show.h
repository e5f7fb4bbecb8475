// `mgpu-simgpu show`: the state of the file, for people and for programs.
#pragma once

#include <string>

#include "simgpu/state.h"

namespace mgpu::simgpu {

// {"devices": [{index, name, uuid, total, reserved, used, leaked, oom_count, allocations, peak_used,
// processes: [{pid, bytes, command}], faults: {...}}]}; amounts in bytes, `faults` has only those that are
// on.
std::string to_json(const State& state);

std::string to_table(const State& state);

}  // namespace mgpu::simgpu
