#include "http/client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "http/awaitable.h"
#include "http/body_decoder.h"
#include "http/connection.h"
#include "http/head_parser.h"
#include "http/receive_head.h"

namespace mgpu::http {
namespace {

using Clock = std::chrono::steady_clock;
using namespace asio::experimental::awaitable_operators;

constexpr std::size_t kResendLimit = 64 * 1024;    // bytes of a request kept for resending
constexpr std::size_t kMaxHeadBytes = 256 * 1024;  // of a response's head, including interim ones

struct IdleConnection {
  Connection connection;
  Clock::time_point idle_since{};
};

bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  return std::ranges::find(kIdempotent, method) != kIdempotent.end();
}

// Endpoints that differ only in their path share connections.
struct OriginOrder {
  bool operator()(const Endpoint& a, const Endpoint& b) const {
    return std::tie(a.scheme, a.host, a.port) < std::tie(b.scheme, b.host, b.port);
  }
};

}  // namespace

struct Client::Pool : std::enable_shared_from_this<Client::Pool> {
  Pool(asio::any_io_executor ex, ClientOptions pool_options)
      : executor(std::move(ex)), options(pool_options) {}

  std::optional<Connection> take_idle(const Endpoint& endpoint) {
    const auto found = idle_by_origin.find(endpoint);
    if (found == idle_by_origin.end()) return std::nullopt;
    auto& idle = found->second;
    while (!idle.empty()) {
      IdleConnection last = std::move(idle.back());
      idle.pop_back();
      if (Clock::now() - last.idle_since < options.idle_limit && last.connection.is_reusable())
        return std::move(last.connection);
    }
    return std::nullopt;
  }

  void return_connection(const Endpoint& endpoint, Connection connection) {
    drop_expired();
    auto& idle = idle_by_origin[endpoint];
    if (idle.size() >= options.max_idle_per_host) return;
    idle.push_back({.connection = std::move(connection), .idle_since = Clock::now()});
  }

  // Covers all endpoints: a service gets a new port with each start, and its old one is never used again.
  void drop_expired() {
    const Clock::time_point oldest = Clock::now() - options.idle_limit;
    for (auto& [name, idle] : idle_by_origin)
      std::erase_if(idle, [&](const auto& connection) { return connection.idle_since < oldest; });
    std::erase_if(idle_by_origin, [](const auto& one) { return one.second.empty(); });
  }

  asio::awaitable<Result<Connection>> connect(Endpoint endpoint) {
    return Connection::connect(executor, std::move(endpoint), options.connect_limit);
  }

  asio::any_io_executor executor;
  ClientOptions options;
  std::map<Endpoint, std::vector<IdleConnection>, OriginOrder> idle_by_origin;
};

namespace {

template <class Pool>
class PooledRequest final : public ClientRequest {
 public:
  PooledRequest(std::shared_ptr<Pool> pool, Endpoint endpoint, RequestHead head, Connection connection,
                bool from_pool)
      : pool_(std::move(pool)),
        endpoint_(std::move(endpoint)),
        head_(std::move(head)),
        connection_(std::move(connection)),
        from_pool_(from_pool),
        unsent_head_(serialize_head(head_)) {}

  ~PooledRequest() override {
    if (can_return_connection_) pool_->return_connection(endpoint_, std::move(connection_));
  }

  asio::awaitable<Result<void>> send(std::string piece) override {
    if (piece.empty()) co_return Result<void>{};
    const bool chunked = !head_.length && !raw_;
    std::string front = std::exchange(unsent_head_, {});
    if (chunked) front += chunk_prefix(piece.size());
    const std::string_view back = chunked ? kChunkSuffix : std::string_view{};
    co_return co_await write(std::move(front), std::move(piece), back);
  }

  asio::awaitable<Result<void>> end_body() override {
    std::string out = std::exchange(unsent_head_, {});
    if (!head_.length) out += kLastChunk;
    auto sent = out.empty() ? Result<void>{} : co_await write(std::move(out));
    body_ended_ = sent.has_value();
    co_return sent;
  }

  asio::awaitable<Result<ResponseHead>> read_response_head() override {
    auto head = co_await read_final_head();
    if (!head && can_resend()) {
      Endpoint endpoint = endpoint_;
      auto fresh = co_await pool_->connect(std::move(endpoint));
      if (!fresh) co_return std::unexpected(fresh.error());
      if (aborted_) co_return fail(ErrorCode::service_down, "the request was given up");
      connection_ = std::move(*fresh);
      from_pool_ = false;
      resent_ = true;
      std::string again = resend_buffer_;
      if (auto written = co_await write(std::move(again)); !written)
        co_return std::unexpected(written.error());
      head = co_await read_final_head();
    }
    co_return head;
  }

  asio::awaitable<Result<std::string>> read() override {
    std::string piece;
    while (raw_ || !body_decoder_.is_complete()) {
      if (const std::string_view received = connection_.received(); !received.empty()) {
        const auto taken = raw_ ? append_raw(received, piece) : body_decoder_.feed(received, piece);
        if (!taken) co_return broken_off_error(taken.error().detail);
        connection_.consume(*taken);
        if (!piece.empty() || body_decoder_.is_complete()) break;
      }
      const auto size = co_await connection_.receive();
      if (!size) co_return broken_off_error(size.error().detail);
      if (*size > 0) continue;
      if (raw_) co_return std::string{};
      if (const auto complete = body_decoder_.end_of_input(); !complete)
        co_return broken_off_error("it ends too early");
      break;
    }
    if (piece.empty())
      can_return_connection_ = keep_alive_ && body_ended_ && !aborted_ && connection_.received().empty();
    co_return piece;
  }

  void abort() override {
    aborted_ = true;
    can_return_connection_ = false;
    connection_.close();
  }

  void shutdown_send() override { connection_.shutdown_send(); }

  bool was_resent() const override { return resent_; }

 private:
  static Result<std::size_t> append_raw(std::string_view received, std::string& piece) {
    piece += received;
    return received.size();
  }

  std::unexpected<Error> broken_off_error(const std::string& why) const {
    return fail(ErrorCode::service_down,
                fmt::format("{} broke off its answer: {}", display_name(endpoint_), why));
  }

  // After the first byte of a response, or after the kernel has accepted a byte of a request that is not
  // idempotent, the service may have processed the request.
  bool can_resend() const {
    const bool unbegun = bytes_written_ == 0 || is_idempotent(head_.method);
    return from_pool_ && !aborted_ && !response_begun_ && body_ended_ &&
           resend_buffer_.size() < kResendLimit && unbegun;
  }

  asio::awaitable<Result<ResponseHead>> read_final_head() {
    std::size_t read = 0;  // bytes of this head and of earlier interim ones
    while (true) {
      auto head = co_await read_next_head(read);
      if (!head)
        co_return fail(ErrorCode::service_down,
                       fmt::format("{} gave no answer: {}", display_name(endpoint_), head.error().detail));
      const int status = head->head.status;
      if (status < 200 && status != 101) continue;
      raw_ = status == 101;
      const bool has_no_body = is_bodiless(status) || head_.method == "HEAD";
      body_decoder_ = has_no_body         ? BodyDecoder::of_length(0)
                      : head->chunked     ? BodyDecoder::chunked({})
                      : head->until_close ? BodyDecoder::until_close()
                                          : BodyDecoder::of_length(*head->head.length);
      // A body after such a head would be parsed as the next response: the connection is not kept.
      const bool in_step =
          head_.method == "HEAD" || !has_no_body || (!head->chunked && head->head.length.value_or(0) == 0);
      keep_alive_ = head->keep_alive && in_step && !raw_ && (has_no_body || !head->until_close);
      if (has_no_body && !head->chunked && !head->head.length) head->head.length = 0;
      co_return std::move(head->head);
    }
  }

  // `read`: bytes of earlier heads of the same response. Errors: those of receive_head and the parser.
  asio::awaitable<Result<ParsedResponse>> read_next_head(std::size_t& read) {
    const auto size = co_await receive_head(connection_, kMaxHeadBytes - read, 0);
    response_begun_ |= !connection_.received().empty();  // also of an incomplete head
    if (!size) co_return std::unexpected(size.error());
    auto parsed = parse_response_head(connection_.received().substr(0, *size));
    connection_.consume(*size);
    read += *size;
    co_return parsed;
  }

  asio::awaitable<Result<void>> write(std::string all) { return write(std::move(all), std::string{}, {}); }

  asio::awaitable<Result<void>> write(std::string front, std::string piece, std::string_view back) {
    if (from_pool_ && resend_buffer_.size() < kResendLimit)
      resend_buffer_.append(front).append(piece).append(back);
    const std::uint64_t sent_before = connection_.bytes_sent();
    const auto sent = co_await connection_.send(std::move(front), std::move(piece), back);
    bytes_written_ += connection_.bytes_sent() - sent_before;
    // If the idle connection was closed by the service, read_response_head() fails too and resends the
    // request.
    if (!sent && !(from_pool_ && !aborted_ && resend_buffer_.size() < kResendLimit))
      co_return fail(ErrorCode::service_down,
                     fmt::format("{} stopped listening: {}", display_name(endpoint_), sent.error().detail));
    co_return Result<void>{};
  }

  std::shared_ptr<Pool> pool_;
  Endpoint endpoint_;
  RequestHead head_;
  Connection connection_;
  bool from_pool_;                   // the connection was idle in the pool before
  std::string unsent_head_;          // the head, until it is sent with the next piece
  std::string resend_buffer_;        // the bytes sent so far, for resending
  std::uint64_t bytes_written_ = 0;  // accepted by the kernel: the service may have read them
  BodyDecoder body_decoder_ = BodyDecoder::of_length(0);
  bool aborted_ = false, body_ended_ = false, response_begun_ = false, can_return_connection_ = false,
       raw_ = false;
  bool keep_alive_ = false, resent_ = false;
};

}  // namespace

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : pool_(std::make_shared<Pool>(std::move(executor), options)) {}
Client::~Client() = default;

asio::awaitable<Result<std::shared_ptr<ClientRequest>>> Client::open(Endpoint endpoint, RequestHead head,
                                                                     bool fresh) {
  const auto pool = pool_;
  head.target.insert(0, endpoint.path);
  if (header(head.headers, "Host").empty())
    head.headers.emplace(head.headers.begin(), "Host", host_header(endpoint));
  std::optional<Connection> connection = fresh ? std::nullopt : pool->take_idle(endpoint);
  const bool from_pool = connection.has_value();
  if (!from_pool) {
    Endpoint destination = endpoint;
    auto connected = co_await pool->connect(std::move(destination));
    if (!connected) co_return std::unexpected(connected.error());
    connection = std::move(*connected);
  }
  co_return std::make_shared<PooledRequest<Pool>>(pool, std::move(endpoint), std::move(head),
                                                  *std::move(connection), from_pool);
}

namespace {

asio::awaitable<Result<Response>> send_and_receive(Client& client, Endpoint endpoint, RequestHead head,
                                                   std::string body, Bytes max_response) {
  head.length = body.size();
  const bool fresh = !is_idempotent(head.method);
  auto request = co_await client.open(std::move(endpoint), std::move(head), fresh);
  if (!request) co_return std::unexpected(request.error());
  ClientRequest& out = **request;
  if (auto sent = co_await out.send(std::move(body)); !sent) co_return std::unexpected(sent.error());
  if (auto ended = co_await out.end_body(); !ended) co_return std::unexpected(ended.error());
  auto answer_head = co_await out.read_response_head();
  if (!answer_head) co_return std::unexpected(answer_head.error());
  Response answer{.head = std::move(*answer_head)};
  while (true) {
    auto piece = co_await out.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return answer;
    answer.body += *piece;
    if (Bytes{static_cast<std::int64_t>(answer.body.size())} > max_response)
      co_return fail(ErrorCode::service_down, "its answer is longer than " + to_string(max_response));
  }
}

}  // namespace

asio::awaitable<Result<Response>> fetch(Client& client, Endpoint endpoint, RequestHead head, std::string body,
                                        Duration limit, Bytes max_response) {
  const std::string name = display_name(endpoint);
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto response =
      send_and_receive(client, std::move(endpoint), std::move(head), std::move(body), max_response);
  auto timeout = timer.async_wait(kAsTuple);
  auto either = std::move(response) || std::move(timeout);
  auto first = co_await std::move(either);
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  co_return fail(ErrorCode::service_down, fmt::format("{} did not answer within {}", name, to_string(limit)));
}

}  // namespace mgpu::http
