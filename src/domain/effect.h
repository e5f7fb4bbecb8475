// What to do, and what was decided. The shell obeys the first group; the second only tells (journal,
// statistics, explanations): nothing has to be done for it.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/result.h"
#include "domain/device.h"
#include "domain/resident.h"
#include "domain/ticket.h"

namespace mgpu {

// --- to be obeyed ---

// The ticket is a lease now: let its work run.
struct Grant {
  TicketId ticket{};
  Duration waited{};   // since it arrived
  Duration loading{};  // the part of it in which its own room was made and its own resident loaded
};

// The ticket is over without a lease: tell its holder why.
struct Refuse {
  TicketId ticket{};
  Error error{};
  Duration retry_after{0};  // 0 = no advice
};

// The lease ended before its holder said so (its service died): stop the work and tell the holder.
struct EndLease {
  TicketId ticket{};
  Error error{};
};

// Bring the resident into device memory, until its service is healthy. Answer: LoadEnded.
struct Load {
  ResidentId resident{};
  std::optional<TicketId> ticket{};  // for whom
  bool from_parked = false;
};

// Take one rung of the ladder. Answer: RungEnded.
struct Evict {
  ResidentId resident{};
  Rung rung{};
};

// A decision waits for fresh numbers of this device. Answer: ReadingTaken with a later `taken`.
struct TakeReading {
  DeviceId device{};
};

// Its weights are wanted in the page cache soon: read its files ahead, at idle priority. Nothing is answered.
struct ReadAhead {
  ResidentId resident{};
};

// --- only tells ---

// Something new is known about what a resident costs: to be stored.
struct CostsLearned {
  ResidentId resident{};
  LearnedCosts costs{};
};

// A ticket went before others that stood before it in the line, and why it may.
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
  std::vector<TicketId> overtaken{};  // the first hundred of them, who is due first foremost; never empty
  OvertakeReason reason{};
};

// A running lease's service ran out of memory: its ticket waits again, and the resident is expected larger.
struct Requeued {
  TicketId ticket{};
  Bytes expected_bytes{};  // footprint + working from now on
};

// A load that was begun ahead of its turn, or without a ticket, turned out to be for nobody.
struct LoadedInVain {
  ResidentId resident{};
};

// A plan was made: whose memory goes for whom. No ticket: foreign memory grew, the resident was idle for
// long, or an operator asked.
// ahead: for somebody whose turn has not come; host_memory: parked ones make room for a better one; yielded:
// the device is left to a foreign program.
enum class PlanReason : std::uint8_t {
  ticket,
  idle,
  pressure,
  operator_request,
  ahead,
  host_memory,
  yielded
};

// One that could have left, and what was thought about it.
struct EvictionCandidate {
  ResidentId resident{};
  Bytes yield_bytes{};     // what its leaving gives
  Duration reload_time{};  // what bringing it back takes
  double retention_value =
      0;  // seconds of reloading to expect for each GiB that it gives; the lowest leave first
  bool chosen = false;
};

struct Planned {
  DeviceId device{};
  PlanReason reason{};
  std::optional<TicketId> ticket{};
  std::vector<ResidentId> victims{};
  Bytes needed{};    // what must fit
  Bytes headroom{};  // what fitted before
  std::vector<EvictionCandidate> considered{};
};

struct Evicted {
  ResidentId resident{};
  Rung rung{};
  Bytes before_bytes{};  // the consumer's bytes as seen when the rung was taken
  Bytes after_bytes{};   // and now
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
