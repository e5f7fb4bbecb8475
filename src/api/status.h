// What people ask to see, folded from the world and what the engine knows beside it. Everything is a
// snapshot.
#pragma once

#include <string>

#include "api/codec.h"
#include "engine/engine.h"

namespace mgpu::api {

inline constexpr std::size_t kMaxLineShown = 1000;

// Instants as times of day.
Wall wall_of(const engine::Engine& engine);

UserShown user_shown_by(const engine::Engine& engine);

// GET /v1/status. `version` and `started` are the daemon's.
Json status_json(const engine::Engine& engine, const std::string& version, const std::string& started);

Json consumer_json(const engine::Engine& engine, ConsumerId consumer);
Json consumers_json(const engine::Engine& engine);

// At most kMaxLineShown: those that run first, then by place and arrival.
Json line_json(const engine::Engine& engine);

// "http://127.0.0.1:9001", or null while it has no port.
Json url_json(const engine::Engine& engine, ConsumerId consumer);

}  // namespace mgpu::api
