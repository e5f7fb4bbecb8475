// The ladder of eviction: service -> stop -> kill. Each rung has a limit to be answered and a limit within
// which the provider must show the memory free, in readings taken after the answer. Memory that did not come
// free is never counted as free: what stays is measured, and stays committed.
#pragma once

#include "sched/world.h"

namespace mgpu {

// Begins with the gentlest rung (or by parking). REQUIRES: the resident is warm (or parked) with no users.
void begin_eviction(World& world, Effects& out, ResidentId id, PlanReason reason, bool park = false);

// The shell's answer to a rung. Answers to rungs that are already over are ignored.
void handle_rung_result(World& world, Effects& out, ResidentId id, Rung rung, const Result<void>& result);

// Looks at every eviction of the device: seen free -> done; limit passed -> next rung, or given up.
void advance_evictions(World& world, Effects& out, DeviceId device);

// Whether anything is leaving the device.
bool has_evictions(const World& world, DeviceId device);

// What the evictions under way on a device will bring when they succeed.
Bytes pending_yield(const World& world, DeviceId device);

}  // namespace mgpu
