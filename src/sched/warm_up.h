// Warm-up: which resident is loaded without a ticket, because one is expected. Nothing here changes the
// world.
#pragma once

#include <optional>
#include <vector>

#include "sched/world.h"

namespace mgpu {

// The resident to load next; none if there is no reason to, or while anything waits, loads or is evicted.
//
// While leases run: a resident whose consumer usually follows one of theirs. While the device is idle: pinned
// and reserved residents that were used before, and those that are usually used at this hour. A resident that
// was evicted by an operator, or for being idle, is not warmed up until a ticket has used it.
std::optional<ResidentId> next_to_warm_up(const World& world, DeviceId device);

// The residents that may be evicted for the warm-up of `id`: no ticket waits for them, and their retention
// value is clearly lower. The least valuable first.
std::vector<EvictionCandidate> less_valuable_candidates(const World& world, DeviceId device, ResidentId id);

}  // namespace mgpu
