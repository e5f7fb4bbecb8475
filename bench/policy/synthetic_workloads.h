// Three synthetic workloads of four hours on one device of 24 GiB with seven consumers: voice dialogues and
// bursts of coding; agents that call four AI models in turn; independent users.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::bench {

// The device and its seven consumers: nothing loaded, policy fifo, no page cache, no parking.
replay::Machine synthetic_machine();

// "voice", "agents", "independent".
const std::vector<std::string_view>& synthetic_trace_names();
replay::Workload synthetic_workload(std::string_view name, std::uint64_t seed);

}  // namespace mgpu::bench
