// The state of the core: devices, consumers, lines, tickets, evictions and limits. A plain value: a copy of
// it answers what-if questions.
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

// fifo: strictly by arrival, no loads ahead. affinity: fewer changes of residents; bounded overtaking.
enum class Policy : std::uint8_t { fifo, affinity };

struct SchedulingLimits {
  std::uint32_t max_queue = 1000;           // waiting tickets of a device
  Duration wait_limit{600'000'000};         // of a ticket that names none
  Duration room_limit{30'000'000};          // wait of a ticket for memory that the scheduler can't free
  Duration retry_backoff_first{1'000'000};  // after the first failed load; doubles with each further one
  Duration retry_backoff_max{60'000'000};
  Duration reading_age{1'000'000};  // a load starts only on a reading no older than this
  Policy policy = Policy::affinity;
  // How long a ticket may be overtaken; 0: 10 s, or three rounds of all waiting changes if that is longer.
  Duration overtake_limit{0};
  Duration ageing{30'000'000};  // delay in the line for each class of priority below realtime
  bool load_ahead = true;       // (affinity) the next resident may load while another consumer works
};

// waiting: in the line. preparing: it has its turn (unless turnless); room is made for it or its resident
// loaded. running: it is a lease.
enum class TicketStage : std::uint8_t { waiting, preparing, running };

struct Ticket {
  TicketId id{};
  TicketRequest request{};
  TicketStage stage = TicketStage::waiting;
  // While waiting: its resident is loaded ahead of its turn, and kept for it.
  bool has_claim = false;
  Instant arrived_at{};
  Instant due{};                    // the line is ordered by this (sched/line_order.h)
  Instant overtake_until = kNever;  // not overtaken after this; set when it is first overtaken
  Instant expires_at{};             // end of its wait limit or deadline; kNever once it runs
  Instant preparing_since{};
  Instant granted_at{};
  std::optional<Instant> stuck_since{};  // since when no decision of the scheduler can make room for it
};

// An eviction in progress. A rung first has to be answered; then readings must show the memory free.
struct Eviction {
  ResidentId resident{};
  Rung rung{};
  bool is_answered = false;
  bool awaits_reading = false;      // no rung before a reading has shown what the latest load took
  bool awaits_host_memory = false;  // is parked as soon as other residents have left host memory
  bool parks = false;               // begins with parking
  // Its process died meanwhile, or its service lists it as not loaded: nothing of it stays, not even parked.
  bool has_left = false;
  Instant rung_deadline{};           // for the answer, then for the readings
  Instant answered_at{};             // only readings taken later count
  Bytes before_bytes{};              // measured bytes of the consumer when the rung was started
  Bytes idle_bytes_before{};         // of those, at least so many without the memory of jobs
  Bytes unattributed_before{};       // of those, what nothing explains
  std::vector<ResidentId> beside{};  // what else of the consumer was loaded when the rung was started
  PlanReason reason{};
};

// The place of a ticket in its line, which is ordered by it.
struct LinePlace {
  Instant due{};
  TicketId ticket{};
  friend constexpr auto operator<=>(LinePlace, LinePlace) = default;
};
using TicketQueue = std::set<LinePlace>;

// A consumer and since when it has had its turns without another consumer's in between.
struct TurnStreak {
  ConsumerId consumer{};
  Instant since{};
};

// The most recent end of a lease of a consumer.
struct LatestRelease {
  ConsumerId consumer{};
  Instant at{};
};

// The line of a device. The tickets are in World::tickets; a ticket of a consumer that is split over several
// devices waits, prepares and holds its turn in all their lines at the same time.
struct LineState {
  TicketQueue waiting{};   // waiting tickets that need a turn
  TicketQueue turnless{};  // waiting tickets that need only memory
  // `waiting` by consumer (none: bare tickets), and `turnless` by consumer; without empty queues.
  std::map<std::optional<ConsumerId>, TicketQueue> queues{};
  std::map<ConsumerId, TicketQueue> turnless_queues{};
  TicketQueue never_overtaken{};                                 // of `waiting`: not overtaken yet
  std::set<std::pair<Instant, LinePlace>> overtake_deadlines{};  // the others of `waiting`, by overtake_until
  std::vector<ConsumerId> turns{};                               // consumers that hold a turn
  std::vector<TicketId> bare_turns{};                            // bare tickets that hold a turn
  std::vector<TurnStreak> streaks{};  // of the consumers that hold a turn or held the last one
  std::set<TicketId> preparing{};
  std::set<TicketId> claims{};          // waiting tickets with has_claim
  std::optional<ResidentId> loading{};  // at most one load at a time
  Instant loaded_at{};                  // when the latest load ended: only a later reading shows all of it
  std::uint32_t running_leases = 0;
  bool is_reading_pending = false;            // a TakeReading has not been answered yet
  std::optional<Instant> unverified_since{};  // a crash or failed load: memory is unknown until a reading
  Bytes returned_bytes{};                     // of ended leases; no reading has shown them free yet
  Instant returned_at{};                      // when the latest of these leases ended
  std::optional<LatestRelease> latest_release{};
  UserShares shares{};
  Statistics statistics{};
};

struct World {
  SchedulingLimits limits{};
  Registry registry{};
  std::vector<LineState> lines{};                     // by DeviceId
  std::map<ResidentId, Eviction> evictions{};         // in progress
  std::unordered_map<TicketId, Ticket> tickets{};     // waiting, preparing and running
  std::set<std::pair<Instant, TicketId>> expiries{};  // waiting and preparing tickets by expires_at
  Instant now{};
  std::uint8_t hour = 0;  // of the day, local time
  bool draining = false;
  std::vector<DeviceId> dirty_lines{};  // lines that must be advanced before step returns
};

// Adds a device with an empty line. Consumers and residents are added with registry/registry.h.
DeviceId add_device(World& world, Device device);

}  // namespace mgpu
