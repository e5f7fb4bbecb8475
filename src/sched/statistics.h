// The charter's six figures, folded from what happens to tickets and residents: nothing else may change them.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/result.h"
#include "base/time.h"

namespace mgpu {

struct Statistics {
  std::uint64_t queue_depth = 0;  // tickets waiting now
  std::uint64_t in_flight = 0;    // leases held now
  std::uint64_t total_jobs = 0;   // leases that ended, ever; an operator's warm-ups don't count
  Duration last_wait{0};          // of the latest grant
  Duration last_run{0};           // of the latest lease that ended
  Instant granted_at{};           // when that grant was,
  Instant released_at{};          // and that end
  std::optional<Instant>
      oldest_queued{};  // when the oldest waiting ticket arrived; filled in by statistics_of

  // How tickets ended without a lease, and what it cost to serve the others.
  std::uint64_t refused = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t loads = 0;
  std::uint64_t loads_ahead = 0;     // of them: before the turn had come
  std::uint64_t loads_in_vain = 0;   // of those: evicted unused
  std::uint64_t overtakes = 0;       // turns given to one who did not stand first
  std::uint64_t memory_retries = 0;  // leases that waited again because their service ran out of memory
  std::uint64_t load_failures = 0;
  std::uint64_t evictions = 0;
  std::uint64_t eviction_failures = 0;
};

// What statistics are folded from.
namespace fact {
struct Arrived {};
struct Granted {
  Instant at{};
  Duration waited{};
};
struct Released {
  Instant at{};
  Duration run{};
  bool counts_as_job = true;
};
struct EndedWaiting {
  ErrorCode code{};
};
struct Requeued {};
struct LoadStarted {
  bool ahead = false;
};
struct LoadedInVain {};
struct Overtaken {};
struct LoadFailed {};
struct EvictionDone {};
struct EvictionGivenUp {};
}  // namespace fact

using StatisticsEvent = std::variant<fact::Arrived, fact::Granted, fact::Released, fact::EndedWaiting,
                                     fact::Requeued, fact::LoadStarted, fact::LoadedInVain, fact::Overtaken,
                                     fact::LoadFailed, fact::EvictionDone, fact::EvictionGivenUp>;

void update_statistics(Statistics& statistics, const StatisticsEvent& event);

// Both devices' figures as one: counts add up, the latest wait and run are those of whichever happened later,
// the oldest is the older.
Statistics sum_statistics(const Statistics& a, const Statistics& b);

}  // namespace mgpu
