// Events: the only input of the core. Each carries the time at which it happened.
//
// Order rules for the shell: events are passed one at a time; `at` never decreases; ticket ids ascend; each
// Load or Evict effect is answered by exactly one LoadEnded or RungEnded, even if the process died meanwhile.
// The core guarantees at most one load or eviction of a resident at a time.
#pragma once

#include <string>
#include <variant>

#include "base/result.h"
#include "domain/device.h"
#include "domain/resident.h"
#include "domain/ticket.h"

namespace mgpu {

struct TicketArrived {
  TicketId ticket{};
  TicketRequest request{};
};

// The holder of a waiting or just granted ticket disconnected, or an operator removed the ticket. Unknown
// tickets are ignored: a cancellation may cross the grant or the refusal.
struct TicketCancelled {
  TicketId ticket{};
  Error error{ErrorCode::cancelled, "the caller went away"};
};

// The holder has finished its work. Unknown tickets are ignored.
struct LeaseReleased {
  TicketId ticket{};
};

// Answer to effect Load.
struct LoadEnded {
  ResidentId resident{};
  Result<void> result{};
  LoadSource source = LoadSource::cold;  // where the weights came from, as far as the shell knows
};

// Answer to effect Evict. Success means that the service or the runner answered the request, or that the
// process is gone; only later readings show whether the memory came free.
struct RungEnded {
  ResidentId resident{};
  Rung rung{};
  Result<void> result{};
};

// A reading of a device: periodically, and soon after effect TakeReading.
struct ReadingTaken {
  Reading reading{};
};

// The consumer's process died, or its service can't be reached any more. Its residents are gone.
struct ServiceLost {
  ConsumerId consumer{};
  Error error{ErrorCode::service_down, ""};
};

// What a service lists of the resident, or the driver shows of it, differs from its state, and neither an
// effect Load nor Evict explains it: the service, or somebody else, loaded, unloaded, parked or deleted it.
// The event may be up to two seconds late and cross effects and other events. While the core itself loads or
// evicts the resident, the end of that decides.
struct ResidentFound {
  ResidentId resident{};
  Presence presence{};
};

// A new AI model of a consumer was requested or listed. `resident` must be the next free id.
struct ResidentAdded {
  ResidentId resident{};
  ConsumerId consumer{};
  std::string ai_model{};
  Bytes footprint{};
  LearnedCosts costs{};  // from the store
};

// The service of a running lease ran out of device memory before the first byte of its response was sent. The
// lease becomes a waiting ticket again, at its old place, with more memory expected. Unknown tickets are
// ignored.
struct OutOfMemorySeen {
  TicketId ticket{};
};

// An hour of the wall clock (0..23, local time) began; also sent once at start. Usage is learned by hour.
struct HourBegan {
  std::uint8_t hour = 0;
};

// A process that an earlier run of the daemon left behind was ended, because it could not be adopted. For the
// journal only; the core ignores it.
struct StrayEnded {
  std::string consumer{};  // may be missing in the current configuration
  int pid = 0;
  std::string reason{};
  Result<void> result{};
};

// A process that looks left behind was not ended, because it belongs to another running daemon. For the
// journal only; the core ignores it.
struct StrayLeftAlone {
  std::string consumer{};
  int pid = 0;
  int owner_pid = 0;  // pid of that daemon
};

// The service told the size of an AI model: its device memory while it is loaded, or an estimate from the
// size of its files. Counts where nothing better is known (registry/memory_learning.h).
struct SizeReported {
  ResidentId resident{};
  Bytes bytes{};
  bool is_estimate = false;
};

// An operator discards what was learned of the resident: its declaration counts again, once it holds no
// memory.
struct LearnedForgotten {
  ResidentId resident{};
};

// An operator evicts a resident: into host memory (`park`), or entirely. A resident that is unloaded already
// is only kept from being warmed up; one that is in use, pinned or moving stays. The API calls
// check_eviction first to report that.
struct EvictionRequested {
  ResidentId resident{};
  bool park = false;
};

// A client said how long the resident shall stay loaded without work: negative for ever, 0 not at all, which
// is how a client unloads. Holds until its next load, within Consumer::max_keep_alive; its idle time begins
// anew. A resident in use is evicted after that. One that is not loaded stays so; 0 also keeps it from being
// warmed up.
struct KeepAliveSet {
  ResidentId resident{};
  Duration keep_alive{};
};

// Drain: every waiting ticket, and every one that arrives later, is refused with shutting_down.
struct DrainRequested {};

// Time passed. Sent when next_wakeup(world) is reached: wait limits, idle unloads, rung limits, backoffs.
struct Tick {};

using EventPayload = std::variant<TicketArrived, TicketCancelled, LeaseReleased, LoadEnded, RungEnded,
                                  ReadingTaken, ServiceLost, ResidentFound, ResidentAdded, EvictionRequested,
                                  DrainRequested, Tick, OutOfMemorySeen, HourBegan, LearnedForgotten,
                                  StrayEnded, StrayLeftAlone, KeepAliveSet, SizeReported>;

struct Event {
  Instant at{};
  EventPayload payload{};
};

}  // namespace mgpu
