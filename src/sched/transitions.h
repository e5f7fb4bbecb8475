// The single changes that step is made of. Each keeps all counts of the world true by itself and appends what
// follows to `out`; which of them happens when is decided in advance.cc and ladder.cc.
#pragma once

#include "sched/world.h"

namespace mgpu {

// The line of the first of them, where its figures are kept.
LineState& line_of(World& world, const Ticket& ticket);
LineState& primary_line(World& world, const Consumer& consumer);

// The lines of these devices have to be looked at before the step is over.
void mark_line_dirty(World& world, DeviceId device);
void mark_line_dirty(World& world, const Consumer& consumer);
void mark_line_dirty(World& world, const Ticket& ticket);

void request_reading(World& world, Effects& out, DeviceId device);

Ticket* find_ticket(World& world, TicketId id);

// What the ticket's own reservation is, where it is not that of a resident: bare and lease_only.
Bytes reservation(const Registry& registry, const TicketRequest& request);

// What it needs in all, on all its devices together, while nothing of its resident is there.
Bytes total_need(const Registry& registry, const TicketRequest& request);

// --- a ticket's life ---
void admit_ticket(World& world, Effects& out, TicketId id, const TicketRequest& request);
void make_promise(World& world,
                  Ticket& ticket);  // waiting -> preparing: takes its turn and reserves its memory
void withdraw_promise(World& world, Ticket& ticket);  // back again, when the plan turns out impossible
void grant_ticket(World& world, Effects& out, Ticket& ticket);  // preparing -> running
void refuse_ticket(World& world, Effects& out, TicketId id, Error error,
                   Duration retry_after = Duration{0});  // gone, unserved
void requeue_ticket(World& world, Effects& out,
                    TicketId id);                         // running -> waiting: its service ran out of memory
void end_lease(World& world, Effects& out, TicketId id);  // running -> gone
void claim_resident(World& world,
                    Ticket& ticket);            // waiting: its resident may be loaded ahead, and stays for it
void drop_claim(World& world, Ticket& ticket);  // not after all; nothing where it has none

// --- a resident's life ---
// `ticket`: for whom, none: for whoever comes.
void start_load(World& world, Effects& out, ResidentId id, std::optional<TicketId> ticket);
void end_load(World& world, Effects& out, ResidentId id, const Result<void>& result, LoadSource source);
void lose_service(World& world, Effects& out, ConsumerId consumer, const Error& error);

}  // namespace mgpu
