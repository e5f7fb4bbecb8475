// Usage history: how often a resident was used lately, and which consumer follows which. Both decay, so that
// old usage loses its influence.
#pragma once

#include "registry/registry.h"

namespace mgpu {

// A use counts half after this time.
inline constexpr Duration kUseHalfLife{600'000'000};

void record_use(Registry& registry, ResidentId id, Instant now);

// Call when work of `next` began soon after that of `first`, on the same device.
void record_succession(Registry& registry, ConsumerId first, ConsumerId next);

// Probability that the resident is used within `horizon`, from 0 to 1, if uses continue at the recent rate.
double use_probability(const Resident& resident, Instant now, Duration horizon);

// Probability that `next` follows `first`: 1 if configured (followed_by), otherwise as observed; 0 until a
// few successions were observed.
double succession_probability(const Registry& registry, ConsumerId first, ConsumerId next);

}  // namespace mgpu
