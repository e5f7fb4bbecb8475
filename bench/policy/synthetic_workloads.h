// The three synthetic households: four hours on one device of 24 GB with seven consumers. Each with its
// people: voice dialogues and bursts of coding; agents that call four AI models in turn; independent users.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::bench {

// The seven consumers on their device, nothing loaded, policy fifo, no page cache, nobody can park.
replay::Machine synthetic_system();

// "voice", "agents", "independent".
const std::vector<std::string_view>& synthetic_trace_names();
replay::Workload synthetic_workload(std::string_view name, std::uint64_t seed);

}  // namespace mgpu::bench
