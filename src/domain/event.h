// What happened: everything the core ever learns arrives as one of these, with the time it happened.
//
// Order rules for the shell: events are handed over one at a time, `at` never goes back; ids are ascending;
// per resident at most one load and one eviction are under way (the core sees to that), and each Load or
// Evict effect is answered by exactly one LoadEnded or RungEnded, also when the process died meanwhile.
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

// The waiting (or just granted) ticket's holder went away, or an operator removed it. Unknown tickets are
// ignored: a cancellation may cross a grant on its way.
struct TicketCancelled {
  TicketId ticket{};
  Error error{ErrorCode::cancelled, "the caller went away"};
};

// The holder is done. Unknown tickets are ignored.
struct LeaseReleased {
  TicketId ticket{};
};

// Answer to effect Load.
struct LoadEnded {
  ResidentId resident{};
  Result<void> result{};
  LoadSource source = LoadSource::cold;  // where the weights came from, as far as the shell can tell
};

// Answer to effect Evict: the rung's request was answered (or the process is gone), or it failed or passed
// its limit. Success only means asked-and-answered; whether memory came free is seen in readings taken later.
struct RungEnded {
  ResidentId resident{};
  Rung rung{};
  Result<void> result{};
};

// The provider's numbers. Sent at every sampling, and soon after effect TakeReading.
struct ReadingTaken {
  Reading reading{};
};

// The consumer's process died, or its service can't be reached any more. All it held is gone.
struct ServiceLost {
  ConsumerId consumer{};
  Error error{ErrorCode::service_down, ""};
};

// A service was found already holding this resident (an external one that is up, at start or later).
struct FoundWarm {
  ResidentId resident{};
};

// A new AI model of a consumer was asked for or listed: `resident` is the next free id.
struct ResidentAdded {
  ResidentId resident{};
  ConsumerId consumer{};
  std::string ai_model{};
  Bytes footprint{};
  LearnedCosts costs{};  // from an earlier life of the daemon
};

// The service of a running lease ran out of device memory before a byte of its answer went out. The lease is
// a waiting ticket again, at its old place, with more room asked for. Unknown tickets are ignored.
struct OutOfMemorySeen {
  TicketId ticket{};
};

// A wall clock hour (0..23, local time) began; also told once at start. Habits are learned by it.
struct HourBegan {
  std::uint8_t hour = 0;
};

// A process that an earlier life of the daemon left was ended: it could not be adopted. Only tells.
struct StrayEnded {
  std::string consumer{};  // perhaps in no configuration any more
  int pid = 0;
  std::string reason{};
  Result<void> result{};
};

// A process that would be taken for a stray was left alone: another daemon, which lives, has it. Only tells.
struct StrayLeftAlone {
  std::string consumer{};
  int pid = 0;
  int owner_pid = 0;  // the daemon's pid
};

// An operator does not believe what was learned of the resident: it starts from its declaration again, once
// it holds nothing.
struct LearnedForgotten {
  ResidentId resident{};
};

// An operator asks for a resident's memory back: into host memory (park), or all of it. Who holds none is
// kept from coming back unasked; who is in use, pinned or moving ignores it, and the API asks
// `check_eviction` first to tell the person.
struct EvictionRequested {
  ResidentId resident{};
  bool park = false;
};

// Drain: every waiting ticket is refused with shutting_down, as is each that arrives later.
struct DrainRequested {};

// Time passed: wait limits, idle unloads, rung limits, pauses. Sent when next_wakeup(world) is reached.
struct Tick {};

using EventPayload =
    std::variant<TicketArrived, TicketCancelled, LeaseReleased, LoadEnded, RungEnded, ReadingTaken,
                 ServiceLost, FoundWarm, ResidentAdded, EvictionRequested, DrainRequested, Tick,
                 OutOfMemorySeen, HourBegan, LearnedForgotten, StrayEnded, StrayLeftAlone>;

struct Event {
  Instant at{};
  EventPayload payload{};
};

}  // namespace mgpu
