#include "gateway/send_body.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "gateway/upload_rate_monitor.h"

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunkSize = 64 * 1024;

// Measures how fast the client sends while the gateway waits for it.
struct Upload {
  UploadRateMonitor monitor;
  std::optional<Clock::time_point> reading_since{};

  // False: the client is too slow. REQUIRES: reading_since.
  bool record(std::uint64_t bytes) {
    return monitor.record_chunk(std::chrono::duration_cast<Duration>(Clock::now() - *reading_since), bytes);
  }
};

Error too_slow_error(Bytes rate) {
  return {ErrorCode::request_timeout,
          fmt::format("the body came too slowly while its request had the turn: less than "
                      "limits.min_upload_rate, {}, in a second",
                      to_string(rate))};
}

// Reads what the client sends after the buffered part; empty at the end.
Awaitable<Result<std::string>> read_from_client(RequestContext& request, Upload& upload) {
  upload.reading_since = Clock::now();
  Result<std::string> chunk = co_await request.caller.read();
  if (!chunk) co_return chunk;
  const bool is_fast_enough = upload.record(chunk->size()) || !request.turn.lease || chunk->empty();
  upload.reading_since.reset();
  if (!is_fast_enough) co_return std::unexpected(too_slow_error(request.config->limits.min_upload_rate));
  Result<void> passed = request.body.pass_chunk(*chunk);
  if (!passed) co_return std::unexpected(passed.error());
  co_return chunk;
}

Awaitable<void> wait_for_cancellation() {
  asio::steady_timer never(co_await asio::this_coro::executor, Clock::time_point::max());
  co_await never.async_wait(asio::use_awaitable);
}

Awaitable<void> pump_body(RequestContext& request, Upload& upload) {
  Upstream upstream = *request.attempt.upstream;
  bool from_buffer = true;
  while (true) {
    Result<std::string> chunk = std::string{};
    if (from_buffer) {
      chunk = request.body.buffer().read_next(kChunkSize);
      from_buffer = chunk && !chunk->empty();
    }
    if (chunk && chunk->empty() && !request.body.is_complete()) {
      chunk = co_await read_from_client(request, upload);
      if (!chunk && chunk.error().code == ErrorCode::cancelled) co_return;
    }
    if (!chunk) {
      request.attempt.stop(chunk.error());
      co_return co_await wait_for_cancellation();
    }
    if (chunk->empty()) break;
    Result<void> sent = co_await upstream.send(std::move(*chunk));
    if (!sent) co_return co_await wait_for_cancellation();  // it may have responded before that
  }
  Result<void> end_sent = co_await upstream.end_body();
  request.attempt.body_sent = end_sent.has_value();
  co_await wait_for_cancellation();
}

// Never returns. Detects a client that sends nothing; one that sends slowly is detected when a chunk arrives.
Awaitable<void> watch_upload_rate(RequestContext& request, Upload& upload) {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (!request.body.is_complete()) {
    pause.expires_after(upload.monitor.time_left());
    co_await pause.async_wait(asio::use_awaitable);
    if (!upload.reading_since) continue;
    const bool is_fast_enough = upload.record(0);
    upload.reading_since = Clock::now();
    if (!is_fast_enough) {
      request.attempt.stop(too_slow_error(request.config->limits.min_upload_rate));
      break;
    }
  }
  co_await wait_for_cancellation();
}

}  // namespace

Awaitable<void> send_body(RequestContext& request) {
  const Bytes min_rate = request.config->limits.min_upload_rate;
  Upload upload{.monitor = UploadRateMonitor(min_rate)};
  auto pump = pump_body(request, upload);
  const bool others_wait = request.turn.lease && !request.body.is_complete() && min_rate > Bytes{};
  if (!others_wait) co_return co_await std::move(pump);
  auto watch = watch_upload_rate(request, upload);
  auto either = std::move(pump) || std::move(watch);
  co_await std::move(either);
}

}  // namespace mgpu::gateway
