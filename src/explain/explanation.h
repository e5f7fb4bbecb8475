// Why a ticket waited, told from the journal alone: who went before it, what was evicted for it and at what
// price, and what it waited for in each moment. Equal journals give equal explanations.
//
// The journal holds what was decided, not every state between. So a moment's cause is concluded from what was
// under way then.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "domain/journal_entry.h"
#include "sched/world.h"

namespace mgpu::explain {

inline constexpr std::size_t kMaxSegments = 500;  // of one ticket; the oldest go first

enum class WaitCause : std::uint8_t {
  turn,      // others hold the turns of the device; `behind`: who
  line,      // another ticket is being made ready before it; `behind`: who, `resident`: what moves
  eviction,  // `resident` leaves to make its room
  load,      // its own resident loads
  reading,   // a fresh reading of the device's memory
  pause,     // its resident failed to load, and is not tried again yet
  memory,    // memory that is not ours to free
};
std::string_view to_string(WaitCause cause);

// It waited for this from then until then.
struct WaitSegment {
  Instant from{};
  Instant until{};
  WaitCause cause{};
  std::optional<TicketId> behind{};
  std::optional<ResidentId> resident{};
};

struct OvertakeRecord {
  Instant at{};
  TicketId other{};  // who passed it, or the first of those whom it passed
  std::uint32_t passed = 0;
  OvertakeReason why{};
};

struct Plan {
  Instant at{};
  PlanReason reason{};
  Bytes needed{};
  Bytes headroom{};
  std::vector<EvictionCandidate> considered{};
};

Plan plan_of(const Planned& planned, Instant at = {});

// Something that moved for this ticket.
struct ResidencyChange {
  ResidentId resident{};
  Instant from{};
  std::optional<Instant> until{};  // none: still under way
  std::optional<Error> failed{};
  bool from_parked = false;    // loads
  std::optional<Rung> rung{};  // evictions: the last that was taken
  Bytes freed{};               // evictions
};

enum class TicketState : std::uint8_t { waiting, running, done, refused };
std::string_view to_string(TicketState state);

struct Explanation {
  TicketId ticket{};
  std::optional<TicketRequest> ask{};  // none: it is over, and its arrival not kept any more
  std::optional<Instant> arrived{};    // none: longer ago than the journal remembers
  bool truncated = false;              // what happened to it before is not kept any more
  TicketState state = TicketState::waiting;
  std::deque<WaitSegment> segments{};
  std::size_t segments_dropped = 0;
  std::vector<OvertakeRecord> passed_by{};
  std::vector<OvertakeRecord> passed_others{};
  std::vector<Plan> plans{};
  std::vector<ResidencyChange> evictions{};
  std::vector<ResidencyChange> loads{};
  std::vector<Instant> requeued{};   // its service ran out of memory then, and it waited again
  std::optional<Instant> granted{};  // the last time
  Duration waited{};                 // in all, until it was granted or refused, or until now
  std::optional<Error> why{};        // it was refused, or its lease ended early
};

// `there`: the ticket itself, while it waits or runs. `now`: until when those who still wait have waited.
// Nullopt: neither is it there, nor does the journal know of it (any more).
std::optional<Explanation> explain(const std::deque<JournalEntry>& journal, const Registry& registry,
                                   TicketId ticket, const Ticket* live_ticket, Instant now);

// What another ticket that an explanation names asked for, where the journal still has it.
std::optional<TicketRequest> find_ask(const std::deque<JournalEntry>& journal, TicketId ticket);

}  // namespace mgpu::explain
