// Who is next. Nothing here changes the world.
//
// The line is ordered by when a ticket is *due*: its arrival, later for each class below realtime by the time
// that ageing takes (so that a batch ticket stands with the realtime ones that come so much after it), and
// for a named user not before the same user's former ticket has had its share. Under fifo it is the arrival
// alone.
//
// Under affinity a ticket may be served before one that is due earlier: the next of the consumer that has the
// turn, then those whose resident is warm, then the change of residents that serves most waiting work for its
// seconds. Each ticket bears that only so long (overtake_until): once the first of the line has been passed
// for its bound, nothing passes it any more, but for what was loaded ahead and must serve before it may
// leave.
#pragma once

#include <optional>

#include "sched/world.h"

namespace mgpu {

// The ticket's own class, or else its consumer's.
Priority priority_of(const World& world, const TicketRequest& request);

// Where a new ticket belongs.
Instant due_time(const World& world, const Ticket& ticket);

// It stands there: its user's next one comes after its share.
void charge_user_share(World& world, const Ticket& ticket);

// How long this ticket may be passed by others, from the first time on.
Duration overtake_bound(const World& world, const Ticket& ticket);

// Whether there is a turn for it now, on all its devices.
bool can_take_turn(const World& world, const Ticket& ticket);

// Whether nothing may begin on the device: nobody knows what a crash left behind, or it is left to a foreign
// program.
bool is_device_paused(const World& world, DeviceId device);

struct NextTurn {
  TicketId ticket{};
  std::optional<OvertakeReason> reason{};  // set where others are due before it
};

// The ticket that gets the next turn of the device; none: nobody can have one now.
std::optional<NextTurn> next_for_turn(const World& world, DeviceId device);

// The resident whose weights are wanted next, though it can't be loaded yet: to be read ahead, once.
std::optional<ResidentId> next_to_read_ahead(const World& world, DeviceId device);

// The waiting ticket whose resident is loaded ahead while others compute; none: nobody's is, or it would cost
// somebody who waits.
std::optional<TicketId> next_to_load_ahead(const World& world, DeviceId device);

}  // namespace mgpu
