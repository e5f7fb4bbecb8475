// step: the entry point of the core. It takes an event and returns effects for the shell to execute.
#pragma once

#include "domain/effect.h"
#include "domain/event.h"
#include "sched/world.h"

namespace mgpu {

// Applies `event` to the world and returns the effects. Pure: no clock, no randomness, no I/O; equal
// sequences of events give equal effects. REQUIRES: event.at >= world.now, and the order rules of
// domain/event.h.
Effects step(World& world, const Event& event);

// The latest time for the next Tick; kNever if time alone changes nothing.
Instant next_wakeup(const World& world);

// Whether EvictionRequested would start an eviction now. Errors: busy (in use, pinned, loading or unloading),
// not_supported (no rung for it).
Result<void> check_eviction(const World& world, ResidentId resident, bool park);

// Whether the resident already is in the state that EvictionRequested asks for. The event then only blocks
// its warm-up.
bool is_already_evicted(const Resident& resident, bool park);

// The position of a waiting ticket in its line: 1 = first. 0 if it is not waiting.
std::size_t place_in_line(const World& world, TicketId ticket);

// Statistics of one device, and of all of them together.
Statistics statistics_of(const World& world, DeviceId device);
Statistics total_statistics(const World& world);

// Checks all eight invariants of the design (../shared/DESIGN.md) by a full count. Returns a description of
// the first that is violated, or an empty string. For tests and the simulator; the assertions in step check
// only what an event changes.
std::string broken_invariant(const World& world);

}  // namespace mgpu
