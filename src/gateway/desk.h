// What the gateway asks of the engine, as functions: few enough that a test can play the engine with a
// counter.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "gateway/asking.h"
#include "gateway/wire.h"
#include "gateway/wording.h"

namespace mgpu::gateway {

// A lease, held for as long as `holding` lives.
struct Held {
  std::uint64_t ticket = 0;
  Duration waited{};
  Duration loading{};
  std::shared_ptr<void> holding{};  // shared: the story and what it leaves behind to watch a busy service
  std::function<void(std::function<void(const Error&)>)> on_ended{};
  // Its service ran out of memory: waits in the line once more, under the same number. What it gives replaces
  // this one, which must live until then. Cancelled when the client goes away.
  std::function<Awaitable<Result<Held>>()> again{};
};

struct Desk {
  std::function<Result<engine::Target>(std::string_view)> resolve{};
  std::function<Result<engine::Target>(ConsumerId, std::string_view)> resolve_within{};
  std::function<std::optional<ConsumerId>(std::string_view)> consumer_named{};
  std::function<const config::ConsumerConfig&(ConsumerId)> config_of{};
  std::function<std::string(engine::Target)> ai_model_of{};  // of its resident; "" where it has just one
  std::function<std::optional<engine::Endpoint>(ConsumerId)> endpoint{};
  std::function<Awaitable<Result<Held>>(engine::Target, Asking)> acquire{};
  std::function<Awaitable<bool>(ConsumerId)> still_busy{};
  std::function<void(ConsumerId, std::string)> suspect{};
  std::function<void()> note_retry{};                // a request is sent once more
  std::function<std::vector<Listed>()> everybody{};  // names, aliases and AI models, without loading anybody
};

// The real one; `engine` must outlive it.
Desk desk_of(engine::Engine& engine);

}  // namespace mgpu::gateway
