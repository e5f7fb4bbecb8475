// The world as the core sees it, and its rules. A plain value: copy it to ask "what if".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "domain/effect.h"
#include "domain/event.h"
#include "registry/registry.h"
#include "sched/statistics.h"
#include "sched/user_shares.h"

namespace mgpu {

// fifo: strictly by arrival, nothing loads ahead. affinity: warm ones first, within a bound.
enum class Policy : std::uint8_t { fifo, affinity };

struct SchedulingLimits {
  std::uint32_t max_queue = 1000;    // waiting tickets of a device
  Duration wait_limit{600'000'000};  // of a ticket that names none
  Duration room_limit{
      30'000'000};  // how long the head of a line waits for memory that nobody of ours can free
  Duration retry_backoff_first{1'000'000};  // after the first failed load; doubles up to
  Duration retry_backoff_max{60'000'000};
  Duration reading_age{1'000'000};  // a load starts only on a reading no older than this
  Policy policy = Policy::affinity;
  // How long the first of a line may be overtaken; 0: the larger of 10 s and three times the change's cost.
  Duration overtake_limit{0};
  Duration ageing{30'000'000};  // a ticket that has waited this long stands with the next class' newcomers
  bool load_ahead = true;       // (affinity) the next consumer may load while another computes
};

// waiting: in the line. preparing: it has its turn (unless turnless), room is being made or its resident
// loaded. running: it is a lease.
enum class TicketStage : std::uint8_t { waiting, preparing, running };

struct Ticket {
  TicketId id{};
  TicketRequest request{};
  TicketStage stage = TicketStage::waiting;
  // Loaded ahead: its resident is being brought in, or was, though its turn has not come. Still waiting.
  bool has_claim = false;
  Instant arrived_at{};
  Instant due{};                    // what the line is ordered by (sched/line_order.h)
  Instant overtake_until = kNever;  // nothing passes it any more after this; set when it was first passed
  Instant expires_at{};             // wait limit; kNever once it runs
  Instant preparing_since{};
  Instant granted_at{};
  std::optional<Instant> stuck_since{};  // as head: nothing of ours can make its room
};

// An eviction under way: which rung, and whether its request was answered, so that memory must now be seen
// free.
struct Eviction {
  ResidentId resident{};
  Rung rung{};
  bool is_answered = false;
  bool awaits_host_memory = false;  // to be parked as soon as others have been dropped from host memory
  bool process_lost = false;        // its process ended meanwhile: whatever the rung, nothing of it is left
  Instant rung_deadline{};          // the rung's limit for answering, then for showing the memory free
  Instant answered_at{};            // readings taken before don't count
  Bytes before_bytes{};             // the consumer's bytes when the rung was taken
  PlanReason reason{};
};

// Where a ticket stands. The line is ordered by it.
struct LinePlace {
  Instant due{};
  TicketId ticket{};
  friend constexpr auto operator<=>(LinePlace, LinePlace) = default;
};
using TicketQueue = std::set<LinePlace>;

// A consumer's turns in a row, with nobody's in between.
struct TurnStreak {
  ConsumerId consumer{};
  Instant since{};
};

// What a device's line is doing. The tickets themselves stand in World::tickets; one of a consumer that is
// split over several devices stands, prepares and holds its turn in all their lines at once.
struct LineState {
  TicketQueue waiting{};   // those that want a turn
  TicketQueue turnless{};  // those that only want memory
  std::map<std::optional<ConsumerId>, TicketQueue>
      queues{};  // `waiting` by consumer; bare tickets have one as well
  std::map<ConsumerId, TicketQueue> turnless_queues{};           // `turnless` by consumer
  std::set<std::pair<Instant, LinePlace>> overtake_deadlines{};  // the others of `waiting`, by overtake_until
  TicketQueue never_overtaken{};       // of `waiting`: those that nothing has overtaken yet
  std::vector<ConsumerId> turns{};     // consumers that hold a turn
  std::vector<TicketId> bare_turns{};  // bare tickets that hold one
  std::vector<TurnStreak> streaks{};   // of those who hold a turn, or were the last to
  std::set<TicketId> preparing{};
  std::set<TicketId> claims{};          // waiting tickets with Ticket::claims
  std::optional<ResidentId> loading{};  // one load at a time
  std::uint32_t running_leases = 0;     // that run on the device
  bool is_reading_pending = false;
  std::optional<Instant>
      unverified_since{};  // a crash or failed load: what it left is unknown until a later reading
  Bytes returned_bytes{};  // what leases gave back since the last reading: not seen free yet
  Instant returned_at{};   // and when the last of them did
  std::optional<TurnStreak> latest_release{};  // who gave a lease back last, and when
  UserShares shares{};
  Statistics statistics{};
};

struct World {
  SchedulingLimits limits{};
  Registry registry{};
  std::vector<LineState> lines{};                  // by DeviceId
  std::map<ResidentId, Eviction> evictions{};      // under way
  std::unordered_map<TicketId, Ticket> tickets{};  // waiting, preparing and running
  std::set<std::pair<Instant, TicketId>> expiries{};
  Instant now{};
  std::uint8_t hour = 0;  // of the day, by the wall clock
  bool draining = false;
  std::vector<DeviceId> dirty_lines{};  // whose lines have to be looked at before the step is over
};

// Adds a device with an empty line. Consumers and residents are added through the registry.
DeviceId add_device(World& world, Device device);

}  // namespace mgpu
