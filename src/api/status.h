// The state of the daemon as JSON, folded from the world and from what the engine knows beside it. Each call
// shows the moment of the call; status_cache.h keeps its text for those who poll.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "api/codec.h"
#include "api/start_estimates.h"
#include "engine/engine.h"

namespace mgpu::api {

inline constexpr std::size_t kMaxLineTickets = 1000;

// What the status says of the daemon itself.
struct DaemonFacts {
  std::string version{};
  std::string started{};                               // RFC 3339
  std::function<std::uint64_t()> log_lines_dropped{};  // empty: none are
};

// Instants as times of day. `engine` must outlive both functions.
WallClock make_wall_clock(const engine::Engine& engine);
UserLabels make_user_labels(const engine::Engine& engine);

// GET /v1/status.
Json status_json(const engine::Engine& engine, const StartTimes& starts, const DaemonFacts& daemon);

Json consumer_json(const engine::Engine& engine, ConsumerId consumer);
Json consumers_json(const engine::Engine& engine);

// At most kMaxLineTickets: those that run first, then by place and arrival.
Json line_json(const engine::Engine& engine, const StartTimes& starts);

// "http://127.0.0.1:9001", or null while it has no port.
Json url_json(const engine::Engine& engine, ConsumerId consumer);

}  // namespace mgpu::api
