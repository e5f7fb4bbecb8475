// The state transitions of tickets and residents. Each keeps all counts of the world consistent and appends
// its effects to `out`. step.cc, advance_line.cc and eviction_ladder.cc decide when they happen.
#pragma once

#include "sched/world.h"

namespace mgpu {

// The line that keeps the statistics of a ticket or consumer: that of the (if split: first) device.
LineState& line_of(World& world, const Ticket& ticket);
LineState& primary_line(World& world, const Consumer& consumer);

// Marks lines that must be advanced before step returns.
void mark_line_dirty(World& world, DeviceId device);
void mark_line_dirty(World& world, const Consumer& consumer);
void mark_line_dirty(World& world, const Ticket& ticket);

// Whether the last reading of the device shows all that its latest load has taken; also if the driver no
// longer answers, so that nothing waits for it.
bool is_latest_load_seen(const World& world, DeviceId device);

void request_reading(World& world, Effects& out, DeviceId device);

Ticket* find_ticket(World& world, TicketId id);

// The bytes that a bare or lease_only ticket reserves by itself.
Bytes reservation(const Registry& registry, const TicketRequest& request);

// The memory that the ticket needs on all its devices together if its resident is not loaded.
Bytes total_need(const Registry& registry, const TicketRequest& request);

// --- tickets ---

// Puts a new ticket into the line, or refuses it at once.
void admit_ticket(World& world, Effects& out, TicketId id, const TicketRequest& request);

// waiting -> preparing: the ticket gets its turn, and its memory is reserved.
void make_promise(World& world, Ticket& ticket);

// preparing -> waiting: undoes make_promise when no room can be made.
void withdraw_promise(World& world, Ticket& ticket);

// preparing -> running.
void grant_ticket(World& world, Effects& out, Ticket& ticket);

// waiting or preparing -> removed, without a lease.
void refuse_ticket(World& world, Effects& out, TicketId id, Error error, Duration retry_after = Duration{0});

// running -> waiting, because its service ran out of memory. Refuses it if no more memory can be expected.
void requeue_ticket(World& world, Effects& out, TicketId id);

// running -> removed.
void end_lease(World& world, Effects& out, TicketId id);

// Marks a waiting ticket's resident as loaded ahead: it is kept until the ticket has run or drops the claim.
void claim_resident(World& world, Ticket& ticket);

// Does nothing if the ticket has no claim.
void drop_claim(World& world, Ticket& ticket);

// --- residents ---

// `ticket`: the ticket that the load is for; none for a warm-up.
void start_load(World& world, Effects& out, ResidentId id, std::optional<TicketId> ticket);
void end_load(World& world, Effects& out, ResidentId id, const Result<void>& result, LoadSource source);

// A resident that was loaded ahead, or without a ticket, leaves the device unused.
void report_if_loaded_in_vain(World& world, Effects& out, ResidentId id);

// The consumer's process died: ends its leases and marks its residents as not loaded.
void lose_service(World& world, Effects& out, ConsumerId consumer, const Error& error);

}  // namespace mgpu
