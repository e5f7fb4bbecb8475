// Explains from the journal why a ticket waited: which tickets overtook it, what was evicted for it at what
// cost, and what it waited for at each time. Equal journals give equal explanations.
//
// The journal contains decisions, not every state between them. The cause of a wait is derived from the
// leases, loads and evictions that were in progress at that time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "domain/journal_entry.h"
#include "sched/world.h"

namespace mgpu::explain {

inline constexpr std::size_t kMaxSegments = 500;  // of one ticket; the oldest are dropped first

enum class WaitCause : std::uint8_t {
  turn,      // other tickets hold the turns of the device; `behind`: the first of them
  line,      // another ticket, `behind`, is prepared before it; `resident` is loaded or evicted for that
  eviction,  // `resident` is evicted to make room for it
  load,      // its own resident loads
  reading,   // a fresh reading of the device's memory
  pause,     // backoff after a failed load of its resident
  memory,    // memory that the scheduler can't free
};
std::string_view to_string(WaitCause cause);

struct WaitSegment {
  Instant from{};
  Instant until{};
  WaitCause cause{};
  std::optional<TicketId> behind{};
  std::optional<ResidentId> resident{};
};

struct OvertakeRecord {
  Instant at{};
  TicketId other{};          // the ticket that overtook it, or the first of those that it overtook
  std::uint32_t passed = 0;  // number of overtaken tickets
  OvertakeReason reason{};
};

struct Plan {
  Instant at{};
  PlanReason reason{};
  Bytes needed{};
  Bytes headroom{};
  std::span<const EvictionCandidate> considered{};  // of the `Planned` that it was made from
  JournalEntryPtr entry{};  // keeps `considered` alive; null: the caller of `plan_of` does
};

// REQUIRES: `planned` outlives the plan.
Plan plan_of(const Planned& planned);

// A load or an eviction for the ticket.
struct ResidencyChange {
  ResidentId resident{};
  Instant from{};
  std::optional<Instant> until{};  // none: in progress
  std::optional<Error> failed{};
  bool from_parked = false;    // of loads
  std::optional<Rung> rung{};  // of evictions: the last one
  Bytes freed{};               // of evictions
};

enum class TicketState : std::uint8_t { waiting, running, done, refused };
std::string_view to_string(TicketState state);

struct Explanation {
  TicketId ticket{};
  std::optional<TicketRequest> request{};  // none: it has ended, and its arrival is not in the journal
  std::optional<Instant> arrived{};        // none: unknown, before the journal begins
  bool truncated = false;                  // it arrived before the journal begins
  TicketState state = TicketState::waiting;
  std::deque<WaitSegment> segments{};
  std::size_t segments_dropped = 0;
  std::vector<OvertakeRecord> passed_by{};
  std::vector<OvertakeRecord> passed_others{};
  std::vector<Plan> plans{};
  std::vector<ResidencyChange> evictions{};
  std::vector<ResidencyChange> loads{};
  std::vector<Instant> requeued{};   // when its service ran out of memory and it had to wait again
  std::optional<Instant> granted{};  // the last time
  Duration waited{};                 // in total, until it was granted or refused, or until now
  std::optional<Error> error{};      // it was refused, or its lease ended early
};

// `live_ticket`: the ticket while it waits or runs, otherwise null. `now`: the end of a wait that goes on.
// Nullopt if the ticket is not live and not in the journal (any more).
std::optional<Explanation> explain(const JournalEntries& journal, const Registry& registry, TicketId ticket,
                                   const Ticket* live_ticket, Instant now);

// The request of a ticket; none if its arrival is not in the journal.
std::optional<TicketRequest> find_request(const JournalEntries& journal, TicketId ticket);

}  // namespace mgpu::explain
