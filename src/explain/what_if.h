// Answers what would happen to a ticket that arrived now: step is applied to a copy of the world.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "domain/effect.h"
#include "sched/world.h"

namespace mgpu::explain {

inline constexpr std::size_t kMaxTicketsAhead = 10;

struct WhatIf {
  TicketId ticket{};  // its id in the copy
  TicketRequest request{};
  TicketStage stage = TicketStage::waiting;  // right after its arrival
  std::optional<Error> refused{};            // the error, if it would be refused
  std::optional<Instant> estimated_start{};
  Duration estimated_wait{};
  std::vector<TicketId> turn_holders{};   // preparing and running tickets on its devices
  std::vector<TicketId> tickets_ahead{};  // waiting tickets before it, at most kMaxTicketsAhead
  std::size_t place = 0;                  // in the line, 1 = first; 0: it would not wait
  bool must_load = false;                 // its resident would have to be loaded
  Effects effects{};                      // of its arrival
};

// `world` is a copy. Where the core would request a new reading, the last one counts as new.
WhatIf what_if(World world, const TicketRequest& request);

}  // namespace mgpu::explain
