// The engine's functions that the gateway uses, so that a test can replace the engine.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "gateway/queue_options.h"
#include "gateway/response_body.h"
#include "gateway/transport.h"
#include "http/endpoint.h"

namespace mgpu::gateway {

// A lease, held while `guard` exists.
struct LeaseHandle {
  std::uint64_t ticket = 0;
  Duration waited{};
  Duration loading{};
  std::shared_ptr<void> guard{};  // shared with the functions below
  std::function<void(std::function<void(const Error&)>)> on_ended{};
  // Queues the lease again after the service ran out of memory, under the same number. The result replaces
  // this handle, which must exist until then. Can be cancelled.
  std::function<Awaitable<Result<LeaseHandle>>()> reacquire{};
};

struct EngineApi {
  std::function<Result<engine::Target>(std::string_view)> resolve{};
  std::function<Result<engine::Target>(ConsumerId, std::string_view)> resolve_within{};
  std::function<std::optional<ConsumerId>(std::string_view)> find_consumer{};
  std::function<config::Snapshot()> config{};  // current
  std::function<config::ConsumerSnapshot(ConsumerId)> config_of{};
  std::function<std::string(engine::Target)> ai_model_of{};  // "" if the consumer has just one
  std::function<std::optional<http::Endpoint>(ConsumerId)> endpoint{};
  std::function<Awaitable<Result<LeaseHandle>>(engine::Target, QueueOptions)> acquire{};
  std::function<Awaitable<bool>(ConsumerId)> is_busy{};
  std::function<void(ConsumerId, std::string)> report_suspect{};
  std::function<bool(engine::Target)> is_warm{};
  // See Engine.
  std::function<Awaitable<Result<void>>(ConsumerId)> ensure_up{};
  std::function<Awaitable<Result<bool>>(engine::Target, engine::UnloadWait)> unload{};
  std::function<void(engine::Target, Duration)> set_keep_alive{};
  std::function<Awaitable<void>(ConsumerId)> refresh_ai_models{};
  std::function<Awaitable<void>()> refresh_all_ai_models{};
  std::function<void()> count_retry{};  // a request is sent again
  // Names, aliases and AI models, without loading any. The names of a consumer are adjacent.
  std::function<std::vector<ListedModel>()> list_models{};
};

// The functions of `engine`, which must outlive them.
EngineApi make_engine_api(engine::Engine& engine);

}  // namespace mgpu::gateway
