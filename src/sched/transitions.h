// The single changes that step is made of. Each keeps all counts of the world true by itself and appends what
// follows to `out`; which of them happens when is decided in advance.cc and ladder.cc.
#pragma once

#include "sched/world.h"

namespace mgpu {

// The line of the first of them, where its figures are kept.
LineState& line_of(World& world, const Ticket& ticket);
LineState& home_line(World& world, const Consumer& consumer);

// The lines of these devices have to be looked at before the step is over.
void stir(World& world, DeviceId device);
void stir(World& world, const Consumer& consumer);
void stir(World& world, const Ticket& ticket);

void take_reading(World& world, Effects& out, DeviceId device);

Ticket* find_ticket(World& world, TicketId id);

// What the ticket's own reservation is, where it is not that of a resident: bare and lease_only.
Bytes reservation(const Registry& registry, const TicketRequest& ask);

// What it needs in all, on all its devices together, while nothing of its resident is there.
Bytes whole_need(const Registry& registry, const TicketRequest& ask);

// --- a ticket's life ---
void admit(World& world, Effects& out, TicketId id, const TicketRequest& ask);
void promise(World& world, Ticket& ticket);    // waiting -> preparing: takes its turn and reserves its memory
void unpromise(World& world, Ticket& ticket);  // back again, when the plan turns out impossible
void grant(World& world, Effects& out, Ticket& ticket);  // preparing -> running
void refuse(World& world, Effects& out, TicketId id, Error why,
            Duration retry_after = Duration{0});        // gone, unserved
void requeue(World& world, Effects& out, TicketId id);  // running -> waiting: its service ran out of memory
void release(World& world, Effects& out, TicketId id);  // running -> gone
void claim(World& world, Ticket& ticket);       // waiting: its resident may be loaded ahead, and stays for it
void drop_claim(World& world, Ticket& ticket);  // not after all; nothing where it has none

// --- a resident's life ---
// `ticket`: for whom, none: for whoever comes.
void start_load(World& world, Effects& out, ResidentId id, std::optional<TicketId> ticket);
void end_load(World& world, Effects& out, ResidentId id, const Result<void>& result, LoadSource source);
void lose_service(World& world, Effects& out, ConsumerId consumer, const Error& why);

}  // namespace mgpu
