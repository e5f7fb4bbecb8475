#include "http/server_exchange.h"

#include <limits>
#include <string_view>
#include <utility>

#include "http/awaitable.h"

namespace mgpu::http {
namespace {

constexpr std::size_t kMaxSkippedBody = 256 * 1024;  // bytes of an unread body; past it the connection closes
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// True while the object exists.
class ScopedFlag {
 public:
  explicit ScopedFlag(bool& flag) : flag_(flag) { flag_ = true; }
  ScopedFlag(const ScopedFlag&) = delete;
  ScopedFlag& operator=(const ScopedFlag&) = delete;
  ~ScopedFlag() { flag_ = false; }

 private:
  bool& flag_;
};

BodyDecoder make_body_decoder(const BodyLength& length, const ServerOptions& options) {
  if (length) return BodyDecoder::of_length(*length);
  return BodyDecoder::chunked({.max_data = static_cast<std::uint64_t>(options.max_body.count),
                               .max_framing = static_cast<std::size_t>(options.max_header.count)});
}

}  // namespace

ServerExchange::ServerExchange(ServerStream& stream, ParsedRequest request)
    : stream_(stream),
      head_(std::move(request.head)),
      body_decoder_(make_body_decoder(head_.length, stream.options())),
      max_body_(static_cast<std::uint64_t>(stream.options().max_body.count)),
      http_1_0_(request.http_1_0),
      keep_alive_(request.keep_alive && !stream.is_reserved()),
      expects_continue_(request.expects_continue) {}

asio::awaitable<Result<std::string>> ServerExchange::read() {
  if (read_in_progress_) co_return fail(ErrorCode::internal, "two reads of one request at once");
  if (response_finished_) co_return std::unexpected(client_closed_error());
  const ScopedFlag one_at_a_time(read_in_progress_);
  if (raw_) {
    auto piece = co_await stream_.receive_raw();
    co_return piece;
  }
  if (body_decoder_.is_complete()) co_return std::string{};
  if (head_.length.value_or(0) > max_body_) co_return std::unexpected(body_too_large_error(max_body_));
  if (std::exchange(expects_continue_, false)) {
    std::string go_on(kContinue);
    if (auto sent = co_await stream_.send(std::move(go_on)); !sent) co_return std::unexpected(sent.error());
  }
  auto piece = co_await read_body_piece();
  if (!piece) body_unreadable_ = true;
  co_return piece;
}

void ServerExchange::lift_body_limit() {
  max_body_ = std::numeric_limits<std::uint64_t>::max();
  body_decoder_.lift_data_limit();
}

asio::awaitable<Result<void>> ServerExchange::send_head(ResponseHead response) {
  response_begun_ = true;
  if (response_finished_) co_return std::unexpected(client_closed_error());
  raw_ = response.status == 101;
  until_close_ = !response.length && http_1_0_ && !raw_;
  chunked_ = !response.length && !http_1_0_ && !is_bodiless(response.status);
  if (until_close_ || !can_skip_rest()) keep_alive_ = false;
  unsent_head_ = serialize_head(response, {.keep_alive = keep_alive_ && !raw_, .http_1_0 = http_1_0_});
  if (response.length && !raw_) co_return Result<void>{};  // sent with the body's first piece
  std::string wire = std::exchange(unsent_head_, {});
  co_return co_await stream_.send(std::move(wire));
}

asio::awaitable<Result<void>> ServerExchange::write(std::string piece) {
  if (response_finished_) co_return std::unexpected(client_closed_error());
  if (piece.empty() || head_.method == "HEAD") co_return Result<void>{};
  const bool framed = chunked_ && !raw_;
  std::string front = std::exchange(unsent_head_, {});
  if (framed) front += chunk_prefix(piece.size());
  const std::string_view back = framed ? kChunkSuffix : std::string_view{};
  co_return co_await stream_.send(std::move(front), std::move(piece), back);
}

asio::awaitable<void> ServerExchange::finish() {
  if (response_finished_) co_return;
  response_finished_ = true;
  if (raw_) keep_alive_ = false;
  std::string last = std::exchange(unsent_head_, {});
  if (chunked_ && head_.method != "HEAD") last += kLastChunk;
  if (!last.empty())
    if (const auto sent = co_await stream_.send(std::move(last)); !sent) keep_alive_ = false;
  if (read_in_progress_) keep_alive_ = false;  // that read could consume the next request's bytes
  if (keep_alive_) co_await skip_rest();
}

void ServerExchange::abort() {
  keep_alive_ = false;
  response_finished_ = true;
  if (!stream_.is_open()) return;
  if (stream_.is_client_gone() || (response_begun_ && until_close_)) return stream_.reset();
  broken_off_ = true;
  stream_.cancel_all();
}

asio::awaitable<void> ServerExchange::wait_until_disconnected() {
  std::function<bool()> probe = [this] { return send_probe(); };
  return stream_.wait_until_disconnected(std::move(probe));
}

asio::awaitable<void> ServerExchange::complete_unfinished() {
  if (!response_begun_ && !response_finished_ && !stream_.is_client_gone()) {
    Headers none;
    std::string nothing;
    co_await send_response(*this, 500, std::move(none), std::move(nothing));
  }
  if (!response_finished_) abort();
}

// Never empty before the body's end. Errors: cancelled, invalid_request, too_large, request_timeout.
asio::awaitable<Result<std::string>> ServerExchange::read_body_piece() {
  std::string piece;
  while (!body_decoder_.is_complete()) {
    if (const std::string_view received = stream_.received(); !received.empty()) {
      const auto taken = body_decoder_.feed(received, piece);
      if (!taken) co_return std::unexpected(taken.error());
      stream_.consume(*taken);
      if (!piece.empty() || body_decoder_.is_complete()) break;
    }
    if (const auto more = co_await stream_.receive_body(); !more) co_return std::unexpected(more.error());
  }
  co_return piece;
}

// Whether the unread part of the body will be read, so that the connection can be kept. Decided before the
// response's head is sent: without "close" in it the client sends its next request into a closing connection.
bool ServerExchange::can_skip_rest() const {
  if (body_decoder_.is_complete()) return true;
  if (body_unreadable_ || expects_continue_) return false;
  return body_decoder_.remaining().value_or(0) <= kMaxSkippedBody;
}

asio::awaitable<void> ServerExchange::skip_rest() {
  std::size_t skipped = 0;
  while (keep_alive_ && !body_decoder_.is_complete()) {
    auto piece = co_await read_body_piece();
    if (piece) skipped += piece->size();
    if (!piece || skipped > kMaxSkippedBody) keep_alive_ = false;
  }
}

// Sends an interim response, which a client that only closed its sending side must ignore (RFC 9110, 15.2:
// any number of them), and to which the machine of a disconnected client replies with a reset. Once the
// response has begun, its next bytes serve as the probe.
bool ServerExchange::send_probe() {
  if (response_begun_) return true;
  if (http_1_0_) return false;
  return stream_.try_send(kContinue);
}

}  // namespace mgpu::http
