// The eviction ladder: park or service -> stop -> kill. Each rung must be answered within stop_limit, and
// then readings taken after the answer must show the memory free within stop_limit. If not, the next rung
// follows. Memory that did not come free is never counted as free: it is measured, so it stays committed.
#pragma once

#include "sched/world.h"

namespace mgpu {

// Starts an eviction with its first rung, or with parking if `park` or if parking is better. REQUIRES: the
// resident is warm or parked, and its use_count is 0.
void begin_eviction(World& world, Effects& out, ResidentId id, PlanReason reason, bool park = false);

// Handles RungEnded. Results of rungs that are over already are ignored.
void handle_rung_result(World& world, Effects& out, ResidentId id, Rung rung, const Result<void>& result);

// Finishes the device's evictions whose memory is free; starts the next rung of those past their limit, or
// gives them up.
void advance_evictions(World& world, Effects& out, DeviceId device);

// Whether an eviction in progress stops or kills the consumer's process.
bool is_process_ending(const World& world, ConsumerId consumer);

// Whether an eviction on the device is in progress.
bool has_evictions(const World& world, DeviceId device);

// The bytes that come free on the device if all evictions in progress succeed.
Bytes pending_yield(const World& world, DeviceId device);

}  // namespace mgpu
