// How much memory a load is given whose size nobody knows.
//
// Too little would be a load without room: it fails, or takes what was given to others. So the first load of
// a resident of unknown size, and the next one after it ran out of memory, gets all room that can be had:
// idle residents make room, those in use keep theirs. Only one resident loads at a time, and the first
// reading after the load replaces the expectation (registry/memory_learning.h).
#pragma once

#include "sched/world.h"

namespace mgpu {

// Sets the footprint that is reserved for the coming load of a resident. Call while a ticket is prepared for
// it, before room is made, each time anew, because what can be had changes. REQUIRES: it is not in device
// memory.
void set_load_expectation(World& world, ResidentId id);

// Whether the load of the resident could need more than is expected of it. Nothing like that is loaded ahead
// of a turn, or without a ticket.
bool is_load_expectation_unsure(const Resident& resident);

}  // namespace mgpu
