// GET /v1/status, /v1/line and /v1/consumers, already serialised: however many poll, each is built once for a
// moment, and everybody is sent the same bytes.
//
// A text is valid until the journal has a new entry that is not routine. So the status after a POST or DELETE
// that was answered shows its effect. What changes without such an entry (readings, process ids, ages, times
// waited) is shown as of a moment no longer ago than gpu.sample_busy and kMaxStatusAge.
//
// Thread: the strand.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "api/start_estimates.h"
#include "api/status.h"
#include "engine/engine.h"

namespace mgpu::api {

inline constexpr Duration kMaxStatusAge = std::chrono::milliseconds(100);

class StatusCache {
 public:
  using Clock = std::function<Instant()>;

  // `engine` and `estimates` must outlive it. `now` is for tests; it is the engine's clock otherwise.
  StatusCache(const engine::Engine& engine, StartEstimates& estimates, DaemonFacts daemon, Clock now = {});

  // Bodies of the three routes. Valid until the next call of any of them.
  const std::string& status();
  const std::string& line();
  const std::string& consumers();

 private:
  void drop_outdated();
  Duration max_age() const;

  const engine::Engine& engine_;
  StartEstimates& estimates_;
  const DaemonFacts daemon_;
  const Clock now_;
  std::uint64_t as_of_entry_ = 0;  // the journal's last significant entry then
  Instant taken_at_{};
  // Empty: to be built when it is asked for.
  std::string status_{};
  std::string line_{};
  std::string consumers_{};
};

}  // namespace mgpu::api
