// What would happen if somebody asked now: a copy of the world hears of the ticket, by the same step that
// decides in earnest.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "domain/effect.h"
#include "sched/world.h"

namespace mgpu::explain {

inline constexpr std::size_t kMaxTicketsAhead = 10;

struct WhatIf {
  TicketId ticket{};  // the number that it has in the copy
  TicketRequest ask{};
  TicketStage stage = TicketStage::waiting;  // where it would stand at once
  std::optional<Error> refused{};            // and why, if it would be
  std::optional<Instant> estimated_start{};
  Duration estimated_wait{};
  std::vector<TicketId> turn_holders{};   // those that hold a turn now, or are made ready for it
  std::vector<TicketId> tickets_ahead{};  // those that would stand before it, the first kMaxTicketsAhead
  std::size_t place = 0;                  // 1 = next; 0: it does not wait
  bool must_load = false;                 // its resident is not there
  Effects effects{};                      // what the arrival would lead to at once
};

// `world` is a copy. The last readings are taken as if they were of now: they would be asked for first.
WhatIf what_if(World world, const TicketRequest& ask);

}  // namespace mgpu::explain
