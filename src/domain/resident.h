// What a consumer holds in device memory; a service with several AI models has one resident per AI model.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

enum class Residency : std::uint8_t { cold, loading, warm, parked, unloading, failed };

// Where a load took the weights from: what it costs differs by an order of magnitude.
enum class LoadSource : std::uint8_t {
  cold,
  cached,
  parked
};  // disk, page cache, host memory of its process

// What experience says a resident costs. Zero: not known yet.
struct LearnedCosts {
  Bytes footprint{};  // the most that it was seen to hold without work, from load to eviction
  Bytes working{};    // what one running job added at most
  Duration load_cold{}, load_cached{}, load_parked{};  // by Source
  Duration unload{};
  Duration park{};
  Duration run{};           // a typical job
  std::uint32_t loads = 0;  // observations behind the figures
  std::uint32_t runs = 0;
  std::array<std::uint16_t, 24>
      runs_by_hour{};  // jobs begun in each hour of the day; all halved when one is full
  friend bool operator==(const LearnedCosts&, const LearnedCosts&) = default;
};

struct Resident {
  ConsumerId consumer{};
  std::string ai_model{};  // empty where the consumer has just one
  Bytes
      declared_footprint{};  // footprint by the configuration, or estimated from its file; zero: nobody said
  Bytes footprint{};         // what is expected of it now: declared, until something was learned
  LearnedCosts costs{};
  Residency state = Residency::cold;
  Error last_error{};       // says why, while state is failed
  Instant retry_at{};       // failed: not before
  Instant transition_at{};  // when its load or eviction began, or its load ended
  Instant last_used{};
  std::uint32_t consecutive_failures = 0;  // loads failed in a row
  // Tickets that run on it, or for which it is being made ready or loaded ahead: no victim while > 0.
  std::uint32_t use_count = 0;
  std::uint32_t waiting = 0;         // tickets in the line that ask for it
  Instant eviction_retry_at{};       // an eviction failed and left it warm: no victim before then
  double decayed_uses = 0;           // jobs lately: each counts 1 and fades (registry/usage_history.h)
  Bytes idle_peak{};                 // the most measured without work since it was loaded
  bool measured_after_load = false;  // and at least one of those readings was taken after it was loaded
  bool is_attributable = false;      // what was measured since can only be its own
  bool leaves_host_memory =
      false;                    // unloading: from host memory, where it was parked; the device has none of it
  bool was_read_ahead = false;  // its weights were asked into the page cache since its last load
  bool is_loaded_ahead = false;  // loaded before anybody's turn, and not used yet
  bool warm_up_blocked = false;  // an operator keeps it away, or it left for idleness: not brought in unasked
};

}  // namespace mgpu
