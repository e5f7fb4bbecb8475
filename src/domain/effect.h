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
  Error why{};
  Duration retry_after{0};  // 0 = no advice
};

// The lease ended before its holder said so (its service died): stop the work and tell the holder.
struct EndLease {
  TicketId ticket{};
  Error why{};
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
struct LearnedNow {
  ResidentId resident{};
  Learned learned{};
};

// A ticket went before others that stood before it in the line, and why it may.
// due_at_last: it had been overtaken itself for as long as its bound allows.
// other_device: it is split, and its turn had come on another of its devices.
enum class Overtaking : std::uint8_t {
  same_turn,
  warm,
  cheaper_change,
  loaded_ahead,
  due_at_last,
  other_device
};
struct Overtook {
  TicketId ticket{};
  std::vector<TicketId> passed{};  // the first hundred of them, who is due first foremost; never empty
  Overtaking why{};
};

// A running lease's service ran out of memory: its ticket waits again, and the resident is expected larger.
struct Requeued {
  TicketId ticket{};
  Bytes expected{};  // footprint + working from now on
};

// A load that was begun ahead of its turn, or without a ticket, turned out to be for nobody.
struct LoadedInVain {
  ResidentId resident{};
};

// A plan was made: whose memory goes for whom. No ticket: foreign memory grew, the resident was idle for
// long, or an operator asked.
// ahead: for somebody whose turn has not come; host_memory: parked ones make room for a better one; yielded:
// the device is left to a foreign program.
enum class Reason : std::uint8_t { ticket, idle, pressure, operator_request, ahead, host_memory, yielded };

// One that could have left, and what was thought about it.
struct Candidate {
  ResidentId resident{};
  Bytes yield{};      // what its leaving gives
  Duration reload{};  // what bringing it back takes
  double value = 0;   // seconds of reloading to expect for each GiB that it gives; the lowest leave first
  bool chosen = false;
};

struct Planned {
  DeviceId device{};
  Reason reason{};
  std::optional<TicketId> ticket{};
  std::vector<ResidentId> victims{};
  Bytes needed{};    // what must fit
  Bytes headroom{};  // what fitted before
  std::vector<Candidate> considered{};
};

struct Evicted {
  ResidentId resident{};
  Rung rung{};
  Bytes before{};  // the consumer's bytes as seen when the rung was taken
  Bytes after{};   // and now
};

struct EvictionFailed {
  ResidentId resident{};
  Error why{};
  Bytes still_held{};
};

using Effect = std::variant<Grant, Refuse, EndLease, Load, Evict, TakeReading, Planned, Evicted,
                            EvictionFailed, ReadAhead, LearnedNow, Overtook, Requeued, LoadedInVain>;
using Effects = std::vector<Effect>;

}  // namespace mgpu
