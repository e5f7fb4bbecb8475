// A resident: what a consumer holds in device memory. A service with several AI models has one resident for
// each of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

enum class Residency : std::uint8_t { cold, loading, warm, parked, unloading, failed };

// What its service lists of an AI model, or what the driver shows of it.
enum class Presence : std::uint8_t {
  cold,     // not in device memory
  loading,  // a load is in progress
  warm,     // in device memory
  parked,   // in host memory of its process
  gone      // not in device memory, and the service can't load it any more: it was deleted
};

// Where a load took the weights from. Load times differ by an order of magnitude between them.
enum class LoadSource : std::uint8_t {
  cold,    // disk
  cached,  // page cache
  parked   // host memory of its process
};

// What was learned about a resident. Zero: unknown.
struct LearnedCosts {
  Bytes footprint{};  // the most of its own that was measured without work, from load to eviction
  Bytes working{};    // the most that one running job added
  Duration load_cold{}, load_cached{}, load_parked{};  // load time, by LoadSource
  Duration unload{};
  Duration park{};
  Duration run{};           // moving average of job durations
  std::uint32_t loads = 0;  // number of loads observed
  std::uint32_t runs = 0;   // number of jobs observed
  // Jobs in each hour of the day; all are halved when one reaches its maximum.
  std::array<std::uint16_t, 24> runs_by_hour{};
  friend bool operator==(const LearnedCosts&, const LearnedCosts&) = default;
};

struct Resident {
  ConsumerId consumer{};
  std::string ai_model{};      // empty if the consumer has only one
  Bytes declared_footprint{};  // from the configuration, or estimated from its files; zero: unknown
  Bytes footprint{};           // the current expectation: declared, until something was learned
  LearnedCosts costs{};
  Residency state = Residency::cold;
  Error last_error{};       // state failed: why
  Instant retry_at{};       // state failed: no load before
  Instant transition_at{};  // when its load or eviction began, or its load ended
  Instant last_used{};
  // Until its next load, in place of the consumer's idle_unload (idle_limit); negative: for ever.
  std::optional<Duration> keep_alive{};
  std::uint32_t consecutive_failures = 0;  // failed loads in a row
  // Tickets that run on it, are being prepared for it or had it loaded ahead. It is not evicted while > 0.
  std::uint32_t use_count = 0;
  std::uint32_t waiting = 0;    // tickets in the line that need it
  Instant eviction_retry_at{};  // its eviction failed and left it warm: no further one before
  double decayed_uses = 0;      // recent jobs: each counts 1 and decays (registry/usage_history.h)
  // What readings showed of it since its load (registry/memory_learning.h).
  Bytes idle_peak{};      // the most without work
  Bytes own_peak{};       // the most at all that can't be another's: also while jobs ran, less their memory
  Instant measured_at{};  // the last reading that showed exactly what it holds without work; 0: none
  Bytes busy_bytes{};     // the most with `busy_jobs` running, if that was before the first such reading
  std::uint32_t busy_jobs = 0;      // 0: no such reading
  bool is_provisional = false;      // `footprint` is only a bound, which the next reading of it replaces
  bool ran_out_of_memory = false;   // its last load did: the next one gets all room that can be had
  bool leaves_host_memory = false;  // state unloading: it was parked; nothing of it is on the device
  bool was_read_ahead = false;      // its files were read ahead since its last load
  bool is_loaded_ahead = false;     // loaded before any ticket had its turn, and not used yet
  // Evicted by an operator or for being idle, or unloaded outside of the daemon: loaded only for a ticket.
  bool warm_up_blocked = false;
  bool loads_by_itself = false;  // state loading: not by an effect Load (sched/found_state.h)
  bool was_dropped = false;      // state warm: its service dropped it while leases run on it
  bool is_gone = false;          // its service does not have it any more: its tickets are refused
};

}  // namespace mgpu
