// Learns the costs of residents by observation: durations of loads, evictions and jobs. Their memory is
// learned in registry/memory_learning.h.
#pragma once

#include "registry/memory_learning.h"
#include "registry/registry.h"

namespace mgpu {

void learn_load_start(Registry& registry, ResidentId id, Instant now);
void learn_load_end(Registry& registry, ResidentId id, Instant now, LoadSource source);
// `has_left`: the service had dropped it by itself when the eviction ended.
void learn_eviction(Registry& registry, ResidentId id, Instant now, Rung rung, bool has_left = false);
void learn_run(Registry& registry, ResidentId id, Duration run, std::uint8_t hour);

}  // namespace mgpu
