// `mgpu-simgpu show`: the state of the file as a table and as JSON.
#pragma once

#include <string>

#include "simgpu/state.h"

namespace mgpu::simgpu {

// {"devices": [{index, name, uuid, total, reserved, used, leaked, oom_count, allocations, peak_used,
// processes: [{pid, bytes, command}], faults: {...}}]}; amounts in bytes, `faults` contains only active ones.
std::string to_json(const State& state);

std::string to_table(const State& state);

}  // namespace mgpu::simgpu
