// The charter's six figures, folded from events and effects: nothing else may change them.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace mgpu {

struct Statistics {
  std::uint64_t queue_depth = 0;   // tickets waiting now
  std::uint64_t in_flight = 0;     // leases held now
  std::uint64_t total_jobs = 0;    // leases that ended, ever
  Duration last_wait{0};           // of the latest grant
  Duration last_run{0};            // of the latest lease that ended
  std::optional<Instant> oldest_queued{};   // when the oldest waiting ticket arrived

  // How tickets ended without a lease, and what it cost to serve the others.
  std::uint64_t refused = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t loads = 0;
  std::uint64_t load_failures = 0;
  std::uint64_t evictions = 0;
  std::uint64_t eviction_failures = 0;
};

}  // namespace mgpu
