// Habits: how often a resident is used lately, and who comes after whom. Both fade, so that what was usual
// last week does not rule today.
#pragma once

#include "registry/registry.h"

namespace mgpu {

// A use counts half after this long.
inline constexpr Duration kUseHalfLife{600'000'000};

void record_use(Registry& registry, ResidentId id, Instant now);

// Work of `next` began soon after that of `first`, on the same device.
void record_succession(Registry& registry, ConsumerId first, ConsumerId next);

// How likely somebody asks for it within `horizon`, from 0 to 1, if uses go on as lately.
double use_probability(const Resident& resident, Instant now, Duration horizon);

// How likely `next` follows `first`: 1 where the user says so, else as noticed; 0 until seen a few times.
double succession_probability(const Registry& registry, ConsumerId first, ConsumerId next);

}  // namespace mgpu
