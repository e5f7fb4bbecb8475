#include "gateway/forward.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/relay_response.h"
#include "gateway/send_body.h"

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;
using StopFunction = std::function<void(Error)>;

constexpr auto kLeaseEndGrace = std::chrono::milliseconds(200);

// Stops the attempt when the lease ends or limits.run_limit is reached. Either may be reported after the
// attempt has ended, so the callbacks hold `stop` weakly.
void watch_lease(const RequestContext& request, const std::weak_ptr<StopFunction>& stop,
                 asio::steady_timer& run_limit) {
  request.turn.lease->on_ended([stop](const Error& why) {
    if (auto alive = stop.lock()) (*alive)(why);
  });
  const Duration limit = request.config->limits.run_limit;
  run_limit.expires_after(limit);
  run_limit.async_wait([stop, limit](boost::system::error_code failed) {
    auto alive = stop.lock();
    if (alive && !failed)
      (*alive)({ErrorCode::service_down, "the work took longer than limits.run_limit, " + to_string(limit)});
  });
}

Awaitable<Result<void>> connect_to_service(RequestContext& request) {
  const ConsumerId consumer = request.target.resolved.consumer;
  const EngineApi& engine_api = request.gateway.engine_api;
  auto endpoint = engine_api.endpoint(consumer);
  if (!endpoint) {
    std::string why = request.consumer()->name + " is not up: its service has no port yet";
    engine_api.report_suspect(consumer, why);
    co_return fail(ErrorCode::service_down, std::move(why));
  }
  RequestHead head = request.service_head;
  // Many services can't read chunked bodies.
  if (!head.length && request.body.can_replay()) head.length = request.body.buffer().size();
  Result<Upstream> upstream = co_await request.gateway.connect(*endpoint, std::move(head));
  if (!upstream) engine_api.report_suspect(consumer, upstream.error().detail);
  if (request.attempt.stop_reason) co_return std::unexpected(*request.attempt.stop_reason);
  if (!upstream) co_return std::unexpected(upstream.error());
  request.attempt.upstream = std::move(*upstream);
  request.attempt.reached = true;
  co_return Result<void>{};
}

// The end of a connection is detected before the exit of the service's process, which has the cause.
bool may_lease_end_tell_why(const RequestContext& request) {
  return !request.attempt.stop_reason && request.turn.lease &&
         request.attempt.failure->code == ErrorCode::service_down;
}

Awaitable<Result<void>> exchange_messages(RequestContext& request, asio::steady_timer& lease_end_timer) {
  Attempt& attempt = request.attempt;
  auto body = send_body(request);
  auto response = relay_response(request);
  auto disconnected = request.caller.wait_until_disconnected();
  auto either = std::move(body) || std::move(response) || std::move(disconnected);
  auto first = co_await std::move(either);
  const bool answered = first.index() == 1;
  if (answered && !attempt.failure) co_return Result<void>{};  // the service's connection can be reused
  attempt.upstream->abort();
  if (!answered) co_return fail(ErrorCode::cancelled, "the client went away");
  if (may_lease_end_tell_why(request)) {
    lease_end_timer.expires_after(kLeaseEndGrace);
    co_await lease_end_timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (attempt.stop_reason) co_return std::unexpected(*attempt.stop_reason);
  if (!attempt.head_sent && attempt.failure->code == ErrorCode::service_down)
    request.gateway.engine_api.report_suspect(request.target.resolved.consumer, attempt.failure->detail);
  co_return std::unexpected(*attempt.failure);
}

}  // namespace

Awaitable<Result<void>> forward(RequestContext& request) {
  request.attempt = Attempt{.started = Clock::now()};
  auto strand = co_await asio::this_coro::executor;
  asio::steady_timer run_limit(strand);
  asio::steady_timer lease_end_timer(strand, kLeaseEndGrace);
  auto stop = std::make_shared<StopFunction>([&request, &lease_end_timer](Error why) {
    request.ended_by_engine = true;
    request.attempt.stop(std::move(why));
    lease_end_timer.cancel();
  });
  if (request.turn.lease) watch_lease(request, stop, run_limit);

  Result<void> done = co_await connect_to_service(request);
  if (done) done = co_await exchange_messages(request, lease_end_timer);
  request.attempt.upstream.reset();
  co_return done;
}

Awaitable<Result<void>> forward_free(RequestContext& request) {
  const EngineApi& engine_api = request.gateway.engine_api;
  const ConsumerId consumer = request.target.resolved.consumer;
  auto starting = engine_api.ensure_up(consumer);
  auto disconnected = request.caller.wait_until_disconnected();
  auto either = std::move(starting) || std::move(disconnected);
  auto first = co_await std::move(either);
  if (first.index() == 1) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
  const Result<void> is_up = std::get<0>(first);
  if (!is_up) co_return is_up;
  Result<void> done = co_await forward(request);
  const bool may_change_files = request.target.meaning == service::RequestMeaning::manages_files;
  if (may_change_files && request.attempt.head_sent) co_await engine_api.refresh_ai_models(consumer);
  const bool unreachable = !done && done.error().code == ErrorCode::service_down && !request.attempt.reached;
  if (unreachable)
    co_return fail(ErrorCode::unavailable, request.consumer()->name + " is not up: " + done.error().detail);
  co_return done;
}

}  // namespace mgpu::gateway
