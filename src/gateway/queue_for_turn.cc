#include "gateway/queue_for_turn.h"

#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace mgpu::gateway {
namespace {

using namespace boost::asio::experimental::awaitable_operators;

// Cancels `granting` when the client disconnects.
Awaitable<Result<void>> wait_for_grant(RequestContext& request, Awaitable<Result<LeaseHandle>> granting) {
  auto disconnected = request.caller.wait_until_disconnected();
  auto either = std::move(granting) || std::move(disconnected);
  auto first = co_await std::move(either);
  const bool client_left = first.index() == 1;
  if (client_left) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
  Result<LeaseHandle> lease = std::move(std::get<0>(first));
  request.ended_by_engine = !lease;
  if (!lease) co_return std::unexpected(lease.error());
  request.turn.set_lease(std::move(*lease));
  if (request.target.keep_alive && request.target.resolved.resident)  // a load has dropped an earlier one
    request.gateway.engine_api.set_keep_alive(request.target.resolved, *request.target.keep_alive);
  co_return Result<void>{};
}

Awaitable<Result<void>> acquire_turn(RequestContext& request) {
  QueueOptions options = request.queue_options;
  auto acquiring = request.gateway.engine_api.acquire(request.target.resolved, std::move(options));
  auto granted = wait_for_grant(request, std::move(acquiring));
  co_return co_await std::move(granted);
}

}  // namespace

Awaitable<Result<void>> queue_for_turn(RequestContext& request) {
  if (!request.target.needs_turn) co_return Result<void>{};
  Result<void> buffered = co_await request.body.buffer_until_full(request.caller);
  if (!buffered) co_return buffered;
  co_return co_await acquire_turn(request);
}

bool can_retry(const RequestContext& request, const Error& error) {
  return error.code == ErrorCode::out_of_memory && request.turn.lease && !request.turn.retried &&
         !request.attempt.head_sent && request.body.can_replay() && !request.is_websocket_upgrade;
}

Awaitable<Result<void>> queue_for_retry(RequestContext& request) {
  const bool lease_ended = request.attempt.stop_reason.has_value();
  request.turn.retried = true;
  request.body.buffer().rewind();
  request.gateway.engine_api.count_retry();
  if (lease_ended) {
    request.turn.lease.reset();
    co_return co_await acquire_turn(request);
  }
  request.turn.lease->on_ended(nullptr);
  auto reacquiring = request.turn.lease->reacquire();
  auto granted = wait_for_grant(request, std::move(reacquiring));
  co_return co_await std::move(granted);
}

}  // namespace mgpu::gateway
