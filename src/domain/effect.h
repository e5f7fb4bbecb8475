// Effects: the output of the core. The shell executes those of the first group. Those of the second group
// only report decisions, for the journal, statistics and explanations.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/result.h"
#include "domain/device.h"
#include "domain/resident.h"
#include "domain/ticket.h"

namespace mgpu {

// --- to execute ---

// The ticket is a lease now: its work may run.
struct Grant {
  TicketId ticket{};
  Duration waited{};   // since it arrived
  Duration loading{};  // the part of `waited` in which room was made for it and its resident loaded
};

// The ticket ended without a lease: tell its holder the error.
struct Refuse {
  TicketId ticket{};
  Error error{};
  Duration retry_after{0};  // 0 = unknown
};

// The lease ended before its holder released it (its service died, it was cancelled): stop the work and tell
// the holder.
struct EndLease {
  TicketId ticket{};
  Error error{};
};

// Load the resident into device memory and wait until its service is healthy. Answered by LoadEnded.
struct Load {
  ResidentId resident{};
  std::optional<TicketId> ticket{};  // the ticket that needs it; none: loaded without a ticket
  bool from_parked = false;
};

// Execute one rung of the eviction ladder. Answered by RungEnded.
struct Evict {
  ResidentId resident{};
  Rung rung{};
};

// A decision needs a fresh reading of this device. Answered by ReadingTaken with a later `taken_at`.
struct TakeReading {
  DeviceId device{};
};

// A load of the resident is likely soon: read its files into the page cache, at idle priority. Not answered.
struct ReadAhead {
  ResidentId resident{};
};

// --- reports ---

// The learned costs of a resident changed; the store persists them.
struct CostsLearned {
  ResidentId resident{};
  LearnedCosts costs{};
};

// A ticket was served before others that stood before it in the line.
// same_turn: its consumer held the turn. warm: its resident was warm. cheaper_change: its change of residents
// served the most waiting work for its time. loaded_ahead: its resident had been loaded ahead of its turn.
// due_at_last: it had been overtaken itself for as long as its bound allows.
// other_device: it is split, and its turn had come on another of its devices.
enum class OvertakeReason : std::uint8_t {
  same_turn,
  warm,
  cheaper_change,
  loaded_ahead,
  due_at_last,
  other_device
};
struct Overtook {
  TicketId ticket{};
  std::vector<TicketId> overtaken{};  // the first hundred in the line's order; never empty
  OvertakeReason reason{};
};

// The service of a running lease ran out of memory: its ticket waits again, with a larger expectation.
struct Requeued {
  TicketId ticket{};
  Bytes expected_bytes{};  // footprint + working from now on
};

// A resident that was loaded ahead of a turn, or without a ticket, is evicted unused.
struct LoadedInVain {
  ResidentId resident{};
};

// Why residents are evicted.
enum class PlanReason : std::uint8_t {
  ticket,            // a ticket that has its turn needs the room
  idle,              // unused for idle_unload, or for the time that a client asked for
  pressure,          // foreign memory grew, or a resident outgrew its footprint
  operator_request,  // an operator asked for it
  ahead,             // for a resident that is loaded ahead of a turn, or without a ticket
  host_memory,       // a parked resident makes room in host memory for a more valuable one
  yielded            // a program of `yield_to` gets the device
};

// A resident that could be evicted, with the figures that the choice was made by.
struct EvictionCandidate {
  ResidentId resident{};
  Bytes yield_bytes{};     // what its eviction frees
  Duration reload_time{};  // what loading it again takes
  double retention_value =
      0;  // expected seconds of reloading for each freed GiB; the lowest are evicted first
  bool chosen = false;
};

// Evictions were decided: which residents make room, and for what.
struct Planned {
  DeviceId device{};
  PlanReason reason{};
  std::optional<TicketId> ticket{};  // that the room is for, if any
  std::vector<ResidentId> victims{};
  Bytes needed{};    // bytes that must come free
  Bytes headroom{};  // before the evictions
  std::vector<EvictionCandidate> considered{};
};

struct Evicted {
  ResidentId resident{};
  Rung rung{};
  Bytes before_bytes{};  // measured bytes of the consumer when the rung was started
  Bytes after_bytes{};   // measured bytes of the consumer now
};

struct EvictionFailed {
  ResidentId resident{};
  Error error{};
  Bytes still_held_bytes{};
};

using Effect = std::variant<Grant, Refuse, EndLease, Load, Evict, TakeReading, Planned, Evicted,
                            EvictionFailed, ReadAhead, CostsLearned, Overtook, Requeued, LoadedInVain>;
using Effects = std::vector<Effect>;

}  // namespace mgpu
