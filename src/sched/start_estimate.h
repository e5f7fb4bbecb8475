// When those who wait can be expected to start: for people, for Retry-After, and for deadlines.
//
// The line is played through with what is known to be typical: jobs run as long as such jobs ran, changes of
// residents take what such changes took (registry/costs.h). Nobody new arrives, nothing fails. Under affinity
// the play follows the same preferences as sched/line_order.h, but does not weigh changes against each other,
// so it is a guess where the line is a decision.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "sched/world.h"

namespace mgpu {

// So many tickets of a device are played through; the pace of those goes for the ones after them.
inline constexpr std::size_t kMaxSimulatedStarts = 300;

// Not before world.now. Nullopt: it does not wait (any more), or its device is lost.
std::optional<Instant> estimated_start(const World& world, TicketId ticket);

// From now until then; nothing once it is past.
constexpr Duration time_remaining(Instant at, Instant now) { return at > now ? at - now : Duration{0}; }

// Of all that wait for the device or are made ready on it, those that start first first.
std::vector<std::pair<TicketId, Instant>> estimated_starts(const World& world, DeviceId device);

}  // namespace mgpu
