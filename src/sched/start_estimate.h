// Estimated start times of waiting tickets: for people, for Retry-After, and for deadlines.
//
// A simplified simulation of the line with expected durations of jobs, loads and unloads (registry/costs.h).
// It assumes that no tickets arrive and nothing fails. Under affinity it follows the preferences of
// sched/line_order.h, but does not compare the benefits of changes of residents, so it is only an estimate.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "sched/world.h"

namespace mgpu {

// The number of tickets of a device that are simulated. Those after them are assumed to start at the same
// average interval.
inline constexpr std::size_t kMaxSimulatedStarts = 300;

// Not before world.now. Nullopt if the ticket is not waiting or preparing, or its device is lost.
std::optional<Instant> estimated_start(const World& world, TicketId ticket);

// The time from `now` until `at`; 0 if `at` is past.
constexpr Duration time_remaining(Instant at, Instant now) { return at > now ? at - now : Duration{0}; }

// Of all waiting and preparing tickets of the device, the earliest start first.
std::vector<std::pair<TicketId, Instant>> estimated_starts(const World& world, DeviceId device);

}  // namespace mgpu
