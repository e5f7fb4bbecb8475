#include "gateway/steer_memory.h"

#include <chrono>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "gateway/account.h"
#include "gateway/queue_for_turn.h"

namespace mgpu::gateway {
namespace {

using namespace boost::asio::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;
using Action = service::MemoryRequest::Action;

// Whether it was loaded before. Forgets a wish that the operator does not allow.
Awaitable<Result<bool>> load(RequestContext& request) {
  RequestTarget& target = request.target;
  target.keep_alive = target.memory_request->keep_alive;
  if (request.consumer()->max_keep_alive == Duration{0}) target.keep_alive.reset();
  const EngineApi& engine_api = request.gateway.engine_api;
  if (engine_api.is_warm(target.resolved)) {
    if (target.keep_alive) engine_api.set_keep_alive(target.resolved, *target.keep_alive);
    co_return true;
  }
  request.queue_options.is_load = true;
  target.needs_turn = true;
  Result<void> granted = co_await queue_for_turn(request);
  if (!granted) co_return std::unexpected(granted.error());
  request.turn.lease.reset();
  co_return false;
}

// Whether it was not loaded before.
Awaitable<Result<bool>> unload(RequestContext& request) {
  const bool at_once = service::answers_unload_at_once(request.target.memory_request->steering);
  const auto wait = at_once ? engine::UnloadWait::unless_in_use : engine::UnloadWait::until_unloaded;
  auto unloading = request.gateway.engine_api.unload(request.target.resolved, wait);
  auto disconnected = request.caller.wait_until_disconnected();
  auto either = std::move(unloading) || std::move(disconnected);
  auto first = co_await std::move(either);
  if (first.index() == 1) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
  Result<bool> was_loaded = std::move(std::get<0>(first));
  if (!was_loaded) co_return was_loaded;
  co_return !*was_loaded;
}

Awaitable<Result<bool>> carry_out(RequestContext& request) {
  if (request.target.memory_request->action == Action::none) co_return false;
  if (request.target.memory_request->action == Action::load) co_return co_await load(request);
  co_return co_await unload(request);
}

}  // namespace

Awaitable<Result<void>> steer_memory(RequestContext& request) {
  const Clock::time_point started = Clock::now();
  const Result<bool> was_so_before = co_await carry_out(request);
  if (!was_so_before) co_return std::unexpected(was_so_before.error());
  const service::MemoryOutcome outcome{.was_so_before = *was_so_before,
                                       .took = std::chrono::duration_cast<Duration>(Clock::now() - started),
                                       .answered_at = to_rfc3339(std::chrono::system_clock::now())};
  service::MemoryAnswer answer = service::memory_answer(*request.target.memory_request, outcome);
  Headers headers = account_headers(request);
  headers.emplace_back("Content-Type", answer.content_type);
  co_return co_await send_json(request.caller, answer.status, std::move(answer.body), std::move(headers));
}

}  // namespace mgpu::gateway
