// Statistics of a line, folded from events of tickets and residents by update_statistics.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/result.h"
#include "base/time.h"

namespace mgpu {

struct Statistics {
  std::uint64_t queue_depth = 0;           // tickets waiting now
  std::uint64_t in_flight = 0;             // leases held now
  std::uint64_t total_jobs = 0;            // leases that ended, without warm-ups by an operator
  Duration last_wait{0};                   // of the latest grant
  Duration last_run{0};                    // of the latest lease that ended
  Instant granted_at{};                    // time of that grant
  Instant released_at{};                   // time of that end
  std::optional<Instant> oldest_queued{};  // arrival of the oldest waiting ticket; set by statistics_of

  std::uint64_t refused = 0;  // tickets that ended without a lease, for other reasons than the next two
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;  // wait limit or deadline
  std::uint64_t loads = 0;
  std::uint64_t loads_ahead = 0;     // loads that started before a turn, or without a ticket
  std::uint64_t loads_in_vain = 0;   // loads ahead that were evicted unused
  std::uint64_t overtakes = 0;       // tickets served before an earlier one
  std::uint64_t memory_retries = 0;  // leases requeued because their service ran out of memory
  std::uint64_t load_failures = 0;
  std::uint64_t evictions = 0;
  std::uint64_t eviction_failures = 0;
};

namespace statistics_event {
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
}  // namespace statistics_event

using StatisticsEvent =
    std::variant<statistics_event::Arrived, statistics_event::Granted, statistics_event::Released,
                 statistics_event::EndedWaiting, statistics_event::Requeued, statistics_event::LoadStarted,
                 statistics_event::LoadedInVain, statistics_event::Overtaken, statistics_event::LoadFailed,
                 statistics_event::EvictionDone, statistics_event::EvictionGivenUp>;

void update_statistics(Statistics& statistics, const StatisticsEvent& event);

// The sum of two lines: counts are added; of the wait, the run and the oldest ticket, the later, the later
// and the older one is kept.
Statistics sum_statistics(const Statistics& a, const Statistics& b);

}  // namespace mgpu
