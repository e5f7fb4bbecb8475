#include "http/server_stream.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "http/awaitable.h"
#include "http/receive_head.h"

namespace mgpu::http {
namespace {

using Clock = ServerStream::Clock;
using std::chrono::microseconds;

constexpr Clock::time_point kNoDeadline = Clock::time_point::max();
constexpr std::size_t kMaxEmptyLines = 8;  // before a request line (RFC 9112, 2.2)

// Limits after the last response of a connection that is closed: how long the client may continue to send,
// how long it may be silent meanwhile, and how much it may send beyond the announced body.
constexpr auto kLingerLimit = std::chrono::seconds(30);
constexpr auto kLingerSilence = std::chrono::seconds(2);
constexpr std::uint64_t kLingerBytes = 4 * 1024 * 1024;

// Sets a deadline while the object exists.
class ScopedDeadline {
 public:
  ScopedDeadline(Clock::time_point& deadline, Clock::time_point when) : deadline_(deadline) {
    deadline_ = when;
  }
  ScopedDeadline(const ScopedDeadline&) = delete;
  ScopedDeadline& operator=(const ScopedDeadline&) = delete;
  ~ScopedDeadline() { deadline_ = kNoDeadline; }

 private:
  Clock::time_point& deadline_;
};

}  // namespace

Error client_closed_error() { return {ErrorCode::cancelled, "the client closed its connection"}; }

ServerStream::ServerStream(AcceptedConnection accepted, ConnectionClass connection_class,
                           const ServerOptions& options)
    : connection_(std::move(accepted.connection)),
      peer_(std::move(accepted.peer)),
      class_(connection_class),
      options_(options),
      read_deadline_(kNoDeadline),
      write_deadline_(kNoDeadline) {}

asio::awaitable<Result<ParsedRequest>> ServerStream::receive_request_head() {
  idle_since_ = Clock::now();
  read_deadline_ = *idle_since_ + microseconds(options_.idle_limit);
  const auto max_size = static_cast<std::size_t>(options_.max_header.count);
  const auto size = co_await receive_head(connection_, max_size, kMaxEmptyLines);
  idle_since_.reset();
  if (!size && size.error().code == ErrorCode::cancelled) client_gone_ = true;  // no response is expected
  if (!size && size.error().code == ErrorCode::too_large)
    co_return fail(ErrorCode::too_large,
                   fmt::format("the request's header is larger than limits.max_header, {}",
                               to_string(options_.max_header)));
  if (!size) co_return std::unexpected(size.error());  // the deadline stays: the connection is about to end
  auto parsed = parse_request_head(connection_.received().substr(0, *size));
  connection_.consume(*size);
  if (parsed) read_deadline_ = kNoDeadline;
  co_return parsed;
}

asio::awaitable<Result<void>> ServerStream::receive_body() {
  const ScopedDeadline deadline(read_deadline_, Clock::now() + microseconds(options_.stall_limit));
  awaiting_body_ = true;
  const auto size = co_await connection_.receive();
  awaiting_body_ = false;
  if (body_timed_out_)
    co_return fail(ErrorCode::request_timeout,
                   fmt::format("the client sent nothing more of its body within limits.stall_limit, {}",
                               to_string(options_.stall_limit)));
  if (!size || *size == 0) co_return std::unexpected(client_closed_error());
  co_return Result<void>{};
}

asio::awaitable<Result<std::string>> ServerStream::receive_raw() {
  if (connection_.received().empty())
    if (const auto size = co_await connection_.receive(); !size)
      co_return std::unexpected(client_closed_error());
  std::string piece(connection_.received());
  connection_.consume(piece.size());
  co_return piece;
}

asio::awaitable<Result<void>> ServerStream::send(std::string all) {
  return send(std::move(all), std::string{}, {});
}

asio::awaitable<Result<void>> ServerStream::send(std::string front, std::string piece,
                                                 std::string_view back) {
  const ScopedDeadline deadline(write_deadline_, Clock::now() + microseconds(options_.stall_limit));
  const auto sent = co_await connection_.send(std::move(front), std::move(piece), back);
  client_gone_ |= connection_.is_refused_by_peer();
  if (!sent) co_return std::unexpected(client_closed_error());
  co_return Result<void>{};
}

asio::awaitable<void> ServerStream::linger(std::uint64_t expected) {
  connection_.shutdown_send();
  lingering_ = true;
  const Clock::time_point until = Clock::now() + kLingerLimit;
  std::uint64_t left = expected + kLingerBytes;
  while (Clock::now() < until && is_open() && received().size() <= left) {
    left -= received().size();
    consume(received().size());
    const ScopedDeadline deadline(read_deadline_, std::min(until, Clock::now() + kLingerSilence));
    if (const auto size = co_await connection_.receive(); !size || *size == 0) break;
  }
}

asio::awaitable<void> ServerStream::wait_until_disconnected(std::function<bool()> probe) {
  if (!is_open()) co_return;
  auto disconnected = connection_.wait_until_disconnected(std::move(probe));
  client_gone_ |= co_await std::move(disconnected);
}

void ServerStream::enforce_deadlines(Clock::time_point now) {
  if (read_deadline_ >= now && write_deadline_ >= now) return;
  if (lingering_) return close();
  if (idle_since_ && received().empty()) return shut_down();
  if (!awaiting_body_ || write_deadline_ != kNoDeadline) return reset();
  body_timed_out_ = true;  // the client may still read the error response
  connection_.cancel();
}

void ServerStream::cancel_all() {
  connection_.stop_watching();
  connection_.cancel();
}

void ServerStream::shut_down() {
  client_gone_ = true;
  connection_.shut_down();
}

void ServerStream::reset() {
  if (!is_open()) return;
  client_gone_ = true;
  connection_.reset();
}

}  // namespace mgpu::http
