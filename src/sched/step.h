// step: the whole core in one call. Hand it what happened, obey what it returns.
#pragma once

#include "domain/effect.h"
#include "domain/event.h"
#include "sched/world.h"

namespace mgpu {

// Makes the world true again after `event` and says what follows from it. Pure: no clock, no randomness, no
// I/O; equal event sequences give equal effects. REQUIRES: event.at >= world.now, and the order rules of
// domain/event.h.
Effects step(World& world, const Event& event);

// When step wants a Tick at the latest; kNever if only other events can change anything.
Instant next_wakeup(const World& world);

// Whether EvictionRequested would start an eviction now. Errors: busy (it has a lease, is pinned or is
// moving), not_supported (no rung for it).
Result<void> check_eviction(const World& world, ResidentId resident, bool park);

// Whether the resident is already where EvictionRequested would bring it. The event then only keeps it from
// being brought back unasked.
bool is_already_evicted(const Resident& resident, bool park);

// Where a waiting ticket stands: 1 = next. 0 if it does not wait.
std::size_t place_in_line(const World& world, TicketId ticket);

// The six figures of one device, and over all of them.
Statistics statistics_of(const World& world, DeviceId device);
Statistics total_statistics(const World& world);

// All eight invariants of the design, by a full count. The broken promise in words, or empty. For the
// simulator: it looks at everything, where step's own assertions look only at what an event touched.
std::string broken_invariant(const World& world);

}  // namespace mgpu
