// Who is brought in with nobody waiting for it, because somebody is expected. Nothing here changes the world.
#pragma once

#include <optional>
#include <vector>

#include "sched/world.h"

namespace mgpu {

// The resident to bring in; none: nobody, or something of the line goes first.
//
// While others compute: one whose consumer usually follows theirs. While the device is idle: pinned and
// reserved ones that were used before, and those that are usual at this hour. What an operator or its own
// idleness sent away stays away until it is asked for.
std::optional<ResidentId> next_to_warm_up(const World& world, DeviceId device);

// Those that may leave for it: nobody waits for them, and they are worth clearly less. Sorted by value.
std::vector<EvictionCandidate> less_valuable_candidates(const World& world, DeviceId device, ResidentId id);

}  // namespace mgpu
