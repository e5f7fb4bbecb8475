// What people ask to see, folded from the world and what the engine knows beside it. Everything is a
// snapshot.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "api/codec.h"
#include "engine/engine.h"

namespace mgpu::api {

inline constexpr std::size_t kMaxLineTickets = 1000;

// When those who wait can be expected to start, played through once for all who want to know: with a long
// line that takes milliseconds.
class StartEstimates {
 public:
  const std::map<TicketId, Instant>& all_starts(const engine::Engine& engine);

  // Of one ticket, perhaps as of a moment ago. None: it does not wait (any more), or its device is lost.
  std::optional<Instant> start_of(const engine::Engine& engine, TicketId ticket);

 private:
  std::map<TicketId, Instant> starts_{};
  std::uint64_t last_entry_id_ = 0;  // the journal's last entry then
  std::chrono::steady_clock::time_point computed_at_{};
};

// Instants as times of day.
WallClock make_wall_clock(const engine::Engine& engine);

UserLabels make_user_labels(const engine::Engine& engine);

// GET /v1/status. `get_version` and `started` are the daemon's.
Json status_json(const engine::Engine& engine, const std::string& version, const std::string& started,
                 std::uint64_t log_lines_dropped, StartEstimates& estimates);

Json consumer_json(const engine::Engine& engine, ConsumerId consumer);
Json consumers_json(const engine::Engine& engine);

// At most kMaxLineTickets: those that run first, then by place and arrival.
Json line_json(const engine::Engine& engine, StartEstimates& estimates);

// "http://127.0.0.1:9001", or null while it has no port.
Json url_json(const engine::Engine& engine, ConsumerId consumer);

}  // namespace mgpu::api
