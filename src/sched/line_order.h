// The order of a line: which ticket gets the next turn. Only charge_user_share changes the world.
//
// A line is ordered by the *due* time of its tickets: the arrival, plus `ageing` for each class of priority
// below realtime (so a batch ticket stands beside realtime tickets that arrive that much later). A ticket of
// a named user is not due before the user's former ticket has had its share. Under fifo the due time is the
// arrival.
//
// Under affinity a ticket may overtake tickets that are due earlier. The order of preference is: the next
// ticket of a consumer that holds the turn; tickets whose resident is warm; the change of residents that
// serves the most waiting work for its time. Overtaking is bounded: after its overtake_until a ticket is not
// overtaken any more, except by a ticket whose resident was loaded ahead, because that resident can't be
// evicted before the ticket has run.
#pragma once

#include <optional>

#include "sched/world.h"

namespace mgpu {

// The ticket's own priority, or its consumer's.
Priority priority_of(const World& world, const TicketRequest& request);

// The due time of a new ticket.
Instant due_time(const World& world, const Ticket& ticket);

// Charges an admitted ticket to its user: the user's next ticket is due after its share.
void charge_user_share(World& world, const Ticket& ticket);

// How long the ticket may be overtaken, from the first time on.
Duration overtake_bound(const World& world, const Ticket& ticket);

// Whether a turn is available for the ticket now, on all its devices.
bool can_take_turn(const World& world, const Ticket& ticket);

// Whether nothing may start on the device: its memory is unknown after a crash, or a program of `yield_to`
// has the device.
bool is_device_paused(const World& world, DeviceId device);

struct NextTurn {
  TicketId ticket{};
  std::optional<OvertakeReason> reason{};  // set if other tickets are due before it
};

// The ticket that gets the next turn of the device; none if no ticket can have one now.
std::optional<NextTurn> next_for_turn(const World& world, DeviceId device);

// The resident that will be loaded next, but can't be yet: its files are read ahead once.
std::optional<ResidentId> next_to_read_ahead(const World& world, DeviceId device);

// The waiting ticket whose resident is loaded ahead while leases run; none if there is no such ticket, or no
// room without residents that other tickets wait for.
std::optional<TicketId> next_to_load_ahead(const World& world, DeviceId device);

}  // namespace mgpu
