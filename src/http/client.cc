#include "http/client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/un.h>

#include "http/body_decoder.h"
#include "http/head_parser.h"
#include "http/sockets.h"

namespace mgpu::http {
namespace {

using Clock = std::chrono::steady_clock;
using namespace asio::experimental::awaitable_operators;

constexpr std::size_t kResendLimit = 64 * 1024;  // what is kept of a request in case its connection was dead
constexpr std::size_t kMaxHeadBytes = 256 * 1024;  // of one answer: its head, and the interim ones before it

struct PooledConnection {
  explicit PooledConnection(const asio::any_io_executor& executor) : socket(executor) {}
  StreamSocket socket;
  ReceiveBuffer received;
  Clock::time_point idle_since{};
};

// A kept connection on which anything can be read was closed by the service, or is out of step.
bool is_reusable(PooledConnection& connection) {
  pollfd look{.fd = connection.socket.native_handle(), .events = POLLIN | POLLRDHUP, .revents = 0};
  return connection.socket.is_open() && connection.received.empty() && ::poll(&look, 1, 0) == 0;
}

bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  return std::ranges::find(kIdempotent, method) != kIdempotent.end();
}

// One service by all of its paths: requests to it share connections.
struct OriginOrder {
  bool operator()(const Endpoint& a, const Endpoint& b) const {
    return std::tie(a.scheme, a.host, a.port) < std::tie(b.scheme, b.host, b.port);
  }
};

using Addresses = std::vector<StreamSocket::endpoint_type>;
using Resolution = std::pair<boost::system::error_code, Addresses>;

Resolution unix_address(const std::string& path) {
  using Local = asio::local::stream_protocol;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return {asio::error::name_too_long, {}};
  return {{}, {Local::endpoint(path)}};
}

// Where it may be: a name can stand for several addresses.
asio::awaitable<Resolution> resolve(const Endpoint& where) {
  if (where.scheme == Scheme::unix) co_return unix_address(where.host);
  boost::system::error_code error;
  const auto address = asio::ip::make_address(where.host == "localhost" ? "127.0.0.1" : where.host, error);
  if (!error) co_return Resolution{{}, {tcp::endpoint(address, where.port)}};
  tcp::resolver resolver(co_await asio::this_coro::executor);
  const std::string port = std::to_string(where.port);
  auto [failed, found] = co_await resolver.async_resolve(where.host, port, kAsTuple);
  Resolution located{failed, {}};
  for (const auto& entry : found) located.second.emplace_back(entry.endpoint());
  co_return located;
}

// Errors also: timed_out.
asio::awaitable<boost::system::error_code> connect_to(StreamSocket& socket, const Endpoint& where) {
  auto [error, endpoints] = co_await resolve(where);
  if (error) co_return error;
  auto [refused, endpoint] = co_await asio::async_connect(socket, endpoints, kAsTuple);
  co_return refused;
}

}  // namespace

struct Client::Pool : std::enable_shared_from_this<Client::Pool> {
  Pool(asio::any_io_executor ex, ClientOptions pool_options)
      : executor(std::move(ex)), options(pool_options) {}

  std::unique_ptr<PooledConnection> take_idle(const Endpoint& where) {
    const auto found = idle_by_origin.find(where);
    if (found == idle_by_origin.end()) return nullptr;
    auto& idle = found->second;
    while (!idle.empty()) {
      std::unique_ptr<PooledConnection> connection = std::move(idle.back());
      idle.pop_back();
      if (Clock::now() - connection->idle_since < options.idle_limit && is_reusable(*connection))
        return connection;
    }
    return nullptr;
  }

  void return_connection(const Endpoint& where, std::unique_ptr<PooledConnection> connection) {
    drop_expired();
    auto& idle = idle_by_origin[where];
    if (idle.size() >= options.max_idle_per_host) return;
    connection->idle_since = Clock::now();
    idle.push_back(std::move(connection));
  }

  // Services get a new port with each start: what their old ones left must not stay for ever.
  void drop_expired() {
    const Clock::time_point oldest = Clock::now() - options.idle_limit;
    for (auto& [name, idle] : idle_by_origin)
      std::erase_if(idle, [&](const auto& connection) { return connection->idle_since < oldest; });
    std::erase_if(idle_by_origin, [](const auto& one) { return one.second.empty(); });
  }

  asio::awaitable<Result<std::unique_ptr<PooledConnection>>> connect(const Endpoint& where) {
    if (where.scheme == Scheme::https)
      co_return fail(ErrorCode::not_supported,
                     fmt::format("can't connect to {}: there is no TLS yet, only http", to_url(where)));
    auto connection = std::make_unique<PooledConnection>(executor);
    asio::steady_timer limit(executor, options.connect_limit);
    auto connected = connect_to(connection->socket, where);
    auto late = limit.async_wait(kAsTuple);
    auto either = std::move(connected) || std::move(late);
    auto first = co_await std::move(either);
    boost::system::error_code error = asio::error::timed_out;
    if (first.index() == 0) error = std::get<0>(first);
    if (error)
      co_return fail(ErrorCode::service_down,
                     fmt::format("can't reach {}: {}", display_name(where), error.message()));
    connection->socket.set_option(tcp::no_delay(true), error);  // a Unix socket knows nothing of it
    connection->socket.non_blocking(true, error);
    co_return std::move(connection);
  }

  asio::any_io_executor executor;
  ClientOptions options;
  std::map<Endpoint, std::vector<std::unique_ptr<PooledConnection>>, OriginOrder> idle_by_origin;
};

namespace {

template <class Pool>
class PooledRequest final : public ClientRequest {
 public:
  PooledRequest(std::shared_ptr<Pool> pool, Endpoint endpoint, RequestHead head,
                std::unique_ptr<PooledConnection> connection, bool kept)
      : pool_(std::move(pool)),
        endpoint_(std::move(endpoint)),
        head_(std::move(head)),
        connection_(std::move(connection)),
        from_pool_(kept),
        unsent_head_(serialize_head(head_)) {}

  ~PooledRequest() override {
    if (can_return_connection_ && connection_) pool_->return_connection(endpoint_, std::move(connection_));
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
      const Endpoint endpoint = endpoint_;
      auto fresh = co_await pool_->connect(endpoint);
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
      if (!connection_->received.empty()) {
        const std::string_view received = connection_->received.view();
        const auto taken = raw_ ? append_raw(received, piece) : body_decoder_.feed(received, piece);
        if (!taken) co_return broken_off_error(taken.error().detail);
        connection_->received.consume(*taken);
        if (!piece.empty() || body_decoder_.is_complete()) break;
      }
      const auto error = co_await receive_some(connection_->socket, connection_->received);
      if (error == asio::error::eof && raw_) co_return std::string{};
      if (error == asio::error::eof) {
        if (const auto complete = body_decoder_.end_of_input(); !complete)
          co_return broken_off_error("it ends too early");
        break;
      }
      if (error) co_return broken_off_error(error.message());
    }
    if (piece.empty())
      can_return_connection_ = keep_alive_ && body_ended_ && !aborted_ && connection_->received.empty();
    co_return piece;
  }

  void abort() override {
    aborted_ = true;
    can_return_connection_ = false;
    boost::system::error_code ignored;
    if (connection_) connection_->socket.close(ignored);
  }

  void shutdown_send() override {
    boost::system::error_code ignored;
    if (connection_) connection_->socket.shutdown(StreamSocket::shutdown_send, ignored);
  }

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

  // One byte of an answer means that the service did the work; so may silence, unless nothing was taken.
  bool can_resend() const {
    const bool unbegun = bytes_written_ == 0 || is_idempotent(head_.method);
    return from_pool_ && !aborted_ && !response_begun_ && body_ended_ &&
           resend_buffer_.size() < kResendLimit && unbegun;
  }

  asio::awaitable<Result<ResponseHead>> read_final_head() {
    std::size_t read = 0;  // of this head and of those before it
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
      // A body where none may be would be taken for the next answer.
      const bool in_step =
          head_.method == "HEAD" || !has_no_body || (!head->chunked && head->head.length.value_or(0) == 0);
      keep_alive_ = head->keep_alive && in_step && !raw_ && (has_no_body || !head->until_close);
      if (has_no_body && !head->chunked && !head->head.length) head->head.length = 0;
      co_return std::move(head->head);
    }
  }

  // `read`: what earlier heads of the same answer have taken. Errors: those of receive_head and the parser.
  asio::awaitable<Result<ParsedResponse>> read_next_head(std::size_t& read) {
    const auto size =
        co_await receive_head(connection_->socket, connection_->received, kMaxHeadBytes - read, 0);
    response_begun_ |= !connection_->received.empty();  // also what is no whole head
    if (!size) co_return std::unexpected(size.error());
    auto parsed = parse_response_head(connection_->received.view().substr(0, *size));
    connection_->received.consume(*size);
    read += *size;
    co_return parsed;
  }

  asio::awaitable<Result<void>> write(std::string all) { return write(std::move(all), std::string{}, {}); }

  asio::awaitable<Result<void>> write(std::string front, std::string piece, std::string_view back) {
    if (from_pool_ && resend_buffer_.size() < kResendLimit)
      resend_buffer_.append(front).append(piece).append(back);
    const std::array<asio::const_buffer, 3> source{asio::buffer(front), asio::buffer(piece),
                                                   asio::buffer(back)};
    auto [error, n] = co_await asio::async_write(connection_->socket, source, kAsTuple);
    bytes_written_ += n;
    // A dead kept connection is noticed again, and mended, when the answer is read.
    if (error && !(from_pool_ && !aborted_ && resend_buffer_.size() < kResendLimit))
      co_return fail(ErrorCode::service_down,
                     fmt::format("{} stopped listening: {}", display_name(endpoint_), error.message()));
    co_return Result<void>{};
  }

  std::shared_ptr<Pool> pool_;
  Endpoint endpoint_;
  RequestHead head_;
  std::unique_ptr<PooledConnection> connection_;
  bool from_pool_;                   // an idle connection, not a fresh one
  std::string unsent_head_;          // the head, until something goes with it
  std::string resend_buffer_;        // what went out, to send it once more
  std::uint64_t bytes_written_ = 0;  // that the kernel took: the service may have read them
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
  std::unique_ptr<PooledConnection> connection = fresh ? nullptr : pool->take_idle(endpoint);
  const bool kept = connection != nullptr;
  if (!kept) {
    auto connected = co_await pool->connect(endpoint);
    if (!connected) co_return std::unexpected(connected.error());
    connection = std::move(*connected);
  }
  co_return std::make_shared<PooledRequest<Pool>>(pool, std::move(endpoint), std::move(head),
                                                  std::move(connection), kept);
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
  auto first = co_await (
      send_and_receive(client, std::move(endpoint), std::move(head), std::move(body), max_response) ||
      timer.async_wait(kAsTuple));
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  co_return fail(ErrorCode::service_down, fmt::format("{} did not answer within {}", name, to_string(limit)));
}

}  // namespace mgpu::http
