#include "gateway/account.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/response_headers.h"
#include "gateway/response_body.h"

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kBusyPollInterval = std::chrono::milliseconds(250);

// Some applications respond first and compute afterwards. Holds the lease until the application is idle, at
// most for limits.run_limit.
Awaitable<void> release_when_idle(const GatewayContext& gateway, LeaseHandle lease, ConsumerId consumer) {
  auto ended = std::make_shared<bool>(false);
  lease.on_ended([ended](const Error&) { *ended = true; });
  asio::steady_timer pause(co_await asio::this_coro::executor);
  const Clock::time_point until = Clock::now() + gateway.engine_api.config()->limits.run_limit;
  while (!*ended && Clock::now() < until) {
    bool busy = co_await gateway.engine_api.is_busy(consumer);
    if (!busy) break;
    pause.expires_after(kBusyPollInterval);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

Awaitable<void> send_error(RequestContext& request, const Error& error) {
  Caller& caller = request.caller;
  const bool client_left = error.code == ErrorCode::cancelled && !request.ended_by_engine;
  if (client_left) co_return caller.abort();
  if (request.attempt.head_sent) {
    std::string last = error_in_stream(request.attempt.stream_type, request.route.protocol, error);
    if (!last.empty()) co_await caller.write(std::move(last));
    co_return caller.abort();
  }
  Headers headers = account_headers(request);
  if (auto advice = retry_after_header(error)) headers.emplace_back("Retry-After", *std::move(advice));
  std::string body = error_body(request.route.protocol, error);
  Result<void> sent =
      co_await send_json(caller, http_status(error.code), std::move(body), std::move(headers));
  if (!sent) co_return caller.abort();
  co_await caller.finish();
}

}  // namespace

Awaitable<void> account(RequestContext& request, Result<void> result) {
  if (request.turn.lease) {
    auto strand = co_await asio::this_coro::executor;
    auto release =
        release_when_idle(request.gateway, std::move(*request.turn.lease), request.target.resolved.consumer);
    request.turn.lease.reset();
    asio::co_spawn(strand, std::move(release), asio::detached);
  }
  if (!result) co_return co_await send_error(request, result.error());
  co_await request.caller.finish();
}

Headers account_headers(const RequestContext& request) {
  Headers headers;
  const Turn& turn = request.turn;
  if (turn.ticket != 0) {
    const auto run = std::chrono::duration_cast<Duration>(Clock::now() - request.attempt.started);
    headers = {{"Server-Timing", server_timing_header(turn.waited, turn.loading, run)},
               {"X-Mgpu-Ticket", std::to_string(turn.ticket)}};
  }
  if (turn.retried || request.resent) headers.emplace_back("X-Mgpu-Retried", "1");
  return headers;
}

}  // namespace mgpu::gateway
