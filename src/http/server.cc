#include "http/server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include "http/body_decoder.h"
#include "http/hangup_watch.h"
#include "http/head_parser.h"
#include "http/peer_state.h"
#include "http/sockets.h"

namespace mgpu::http {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr Clock::time_point kNoDeadline = Clock::time_point::max();
constexpr std::size_t kMaxSkippedBody =
    256 * 1024;                            // of an unread body, before the connection is closed instead
constexpr std::size_t kMaxEmptyLines = 8;  // before a request line (RFC 9112, 2.2)

// After the last answer of a connection that is closed: how long the client may go on sending, how long it
// may be silent meanwhile, and how much beyond the body that it announced. A close with unread bytes would
// reset the answer away.
constexpr auto kLingerLimit = std::chrono::seconds(30);
constexpr auto kLingerSilence = std::chrono::seconds(2);
constexpr std::uint64_t kLingerBytes = 4 * 1024 * 1024;

// A moment by which the client must have done something, for as long as it lives.
class ScopedDeadline {
 public:
  ScopedDeadline(Clock::time_point& slot, Clock::time_point when) : slot_(slot) { slot_ = when; }
  ScopedDeadline(const ScopedDeadline&) = delete;
  ScopedDeadline& operator=(const ScopedDeadline&) = delete;
  ~ScopedDeadline() { slot_ = kNoDeadline; }

 private:
  Clock::time_point& slot_;
};

Error client_closed_error() { return {ErrorCode::cancelled, "the client closed its connection"}; }

class Connection final : public Exchange {
 public:
  Connection(tcp::socket socket, std::string address, std::uint16_t port, bool reserved,
             const ServerOptions& options, HangupWatch& hangup_watch)
      : socket_(std::move(socket)),
        options_(options),
        hangup_watch_(hangup_watch),
        address_(std::move(address)),
        port_(port),
        reserved_(reserved) {
    boost::system::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    http::enable_keepalive(socket_.native_handle());
  }

  // Requests in a row, until one side has had enough.
  asio::awaitable<void> serve_requests(const Server::Handler& handler) {
    while (socket_.is_open() && co_await read_next_request()) {
      co_await handler(*this);
      if (!response_begun_ && !response_finished_ && !client_gone_) {
        Headers none;
        std::string nothing;
        co_await send_response(*this, 500, std::move(none), std::move(nothing));
      }
      if (!response_finished_) abort();
      if (!keep_alive_ || client_gone_) break;
    }
    if (!client_gone_ && socket_.is_open() && client_may_be_sending()) co_await linger();
    close();
  }

  const RequestHead& head() const override { return head_; }
  const std::string& peer_address() const override { return address_; }
  std::uint16_t peer_port() const override { return port_; }
  bool is_reserved() const override { return reserved_; }

  asio::awaitable<Result<std::string>> read() override {
    if (read_in_progress_) co_return fail(ErrorCode::internal, "two reads of one request at once");
    if (response_finished_) co_return std::unexpected(client_closed_error());
    const ScopedFlag one_at_a_time(read_in_progress_);
    if (raw_) {
      auto piece = co_await read_raw();
      co_return piece;
    }
    if (body_decoder_.is_complete()) co_return std::string{};
    if (head_.length.value_or(0) > max_body()) co_return std::unexpected(body_too_large_error(max_body()));
    if (std::exchange(expects_continue_, false)) {
      std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      if (auto sent = co_await send(std::move(go_on)); !sent) co_return std::unexpected(sent.error());
    }
    auto piece = co_await read_body_piece();
    if (!piece) body_unreadable_ = true;
    co_return piece;
  }

  asio::awaitable<Result<void>> send_head(ResponseHead answer_head) override {
    response_begun_ = true;
    if (response_finished_) co_return std::unexpected(client_closed_error());
    raw_ = answer_head.status == 101;
    until_close_ = !answer_head.length && http_1_0_ && !raw_;
    chunked_ = !answer_head.length && !http_1_0_ && !is_bodiless(answer_head.status);
    if (until_close_ || !can_skip_rest()) keep_alive_ = false;
    unsent_head_ = serialize_head(answer_head, {.keep_alive = keep_alive_ && !raw_, .http_1_0 = http_1_0_});
    if (answer_head.length && !raw_) co_return Result<void>{};  // its body is not far
    std::string wire = std::exchange(unsent_head_, {});
    co_return co_await send(std::move(wire));
  }

  asio::awaitable<Result<void>> write(std::string piece) override {
    if (response_finished_) co_return std::unexpected(client_closed_error());
    if (piece.empty() || head_.method == "HEAD") co_return Result<void>{};
    const bool framed = chunked_ && !raw_;
    std::string front = std::exchange(unsent_head_, {});
    if (framed) front += chunk_prefix(piece.size());
    const std::string_view back = framed ? kChunkSuffix : std::string_view{};
    co_return co_await send(std::move(front), std::move(piece), back);
  }

  asio::awaitable<void> finish() override {
    if (response_finished_) co_return;
    response_finished_ = true;
    if (raw_) keep_alive_ = false;
    std::string last = std::exchange(unsent_head_, {});
    if (chunked_ && head_.method != "HEAD") last += kLastChunk;
    if (!last.empty())
      if (const auto sent = co_await send(std::move(last)); !sent) keep_alive_ = false;
    if (read_in_progress_)
      keep_alive_ = false;  // whoever still reads must not be raced for the next request's bytes
    if (keep_alive_) co_await skip_rest();
  }

  void abort() override {
    keep_alive_ = false;
    response_finished_ = true;
    if (!socket_.is_open()) return;
    if (client_gone_ || (response_begun_ && until_close_)) return reset();
    broken_off_ = true;
    hangup_watch_.unwatch(socket_.native_handle());
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  asio::awaitable<void> wait_until_disconnected() override {
    if (!socket_.is_open()) co_return;
    const int fd = socket_.native_handle();
    std::function<bool()> provoke = [this] { return send_probe(); };
    auto waiting = hangup_watch_.wait_for_hangup(fd, std::move(provoke));
    client_gone_ |= co_await std::move(waiting);
  }

  // Gives a client up that has kept us waiting for too long.
  void enforce_deadlines(Clock::time_point now) {
    if (read_deadline_ >= now && write_deadline_ >= now) return;
    if (lingering_) return close();
    if (idle_since_ && received_.empty()) return shut_down();
    if (!awaiting_body_ || write_deadline_ != kNoDeadline) return reset();
    body_timed_out_ = true;  // it may still want to hear why
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  // Wakes whatever waits on the connection; serve() then closes it.
  void shut_down() {
    client_gone_ = true;
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.cancel(ignored);
  }

  // Between two requests, or before a head is complete: since when. None while a request is served.
  std::optional<Clock::time_point> idle_since() const { return idle_since_; }

  void close() {
    if (!socket_.is_open()) return;
    hangup_watch_.unwatch(socket_.native_handle());
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  // True for as long as it lives.
  class ScopedFlag {
   public:
    explicit ScopedFlag(bool& flag) : flag_(flag) { flag_ = true; }
    ScopedFlag(const ScopedFlag&) = delete;
    ScopedFlag& operator=(const ScopedFlag&) = delete;
    ~ScopedFlag() { flag_ = false; }

   private:
    bool& flag_;
  };

  std::uint64_t max_body() const { return static_cast<std::uint64_t>(options_.max_body.count); }

  void reset() {
    if (!socket_.is_open()) return;
    client_gone_ = true;
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    close();
  }

  asio::awaitable<bool> read_next_request() {
    response_begun_ = response_finished_ = raw_ = chunked_ = until_close_ = body_unreadable_ = false;
    keep_alive_ = false;
    idle_since_ = Clock::now();
    const ScopedDeadline deadline(read_deadline_, *idle_since_ + microseconds(options_.idle_limit));
    auto head = co_await read_request_head();
    idle_since_.reset();
    if (!head) {
      if (head.error().code == ErrorCode::cancelled)
        client_gone_ = true;  // it said nothing, or not all: nobody waits for an answer
      else
        co_await send_parse_error(head.error());
      co_return false;
    }
    head_ = std::move(head->head);
    http_1_0_ = head->http_1_0;
    keep_alive_ = head->keep_alive && !reserved_;
    expects_continue_ = head->expects_continue;
    body_decoder_ =
        head_.length
            ? BodyDecoder::of_length(*head_.length)
            : BodyDecoder::chunked({.max_data = max_body(),
                                    .max_framing = static_cast<std::size_t>(options_.max_header.count)});
    co_return true;
  }

  // Errors: cancelled (the client left before its head was complete), those of the parser, too_large.
  asio::awaitable<Result<ParsedRequest>> read_request_head() {
    const auto max_size = static_cast<std::size_t>(options_.max_header.count);
    const auto size = co_await receive_head(socket_, received_, max_size, kMaxEmptyLines);
    if (!size && size.error().code == ErrorCode::too_large)
      co_return fail(ErrorCode::too_large,
                     fmt::format("the request's header is larger than limits.max_header, {}",
                                 to_string(options_.max_header)));
    if (!size) co_return std::unexpected(size.error());
    auto parsed = parse_request_head(received_.view().substr(0, *size));
    received_.consume(*size);
    co_return parsed;
  }

  // Says something that a client which only closed its sending side must ignore (RFC 9110, 15.2: any number
  // of interim answers), and that the machine of one which left answers with a reset. Once the answer has
  // begun, its next bytes will do that.
  bool send_probe() {
    if (response_begun_) return true;
    if (http_1_0_) return false;
    boost::system::error_code error;
    static constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";
    return socket_.write_some(asio::buffer(kInterim), error) == kInterim.size();
  }

  // Whether bytes of the client may still be on their way, which a close would answer with a reset.
  bool client_may_be_sending() const {
    return !body_decoder_.is_complete() || !received_.empty() || broken_off_;
  }

  // What a person sees who sent something that is no HTTP. Nothing after it can be understood, so the
  // connection ends.
  asio::awaitable<void> send_parse_error(Error error) {
    if (error.code == ErrorCode::invalid_request)
      error.detail = "this is not a proper HTTP/1.1 request: " + error.detail;
    const std::string body = fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})",
                                         to_string(error.code), json_escaped(error.detail));
    const ResponseHead head{.status = http_status(error.code),
                            .headers = {{"Content-Type", "application/json"}},
                            .length = body.size()};
    std::string wire = serialize_head(head, {.keep_alive = false}) + body;
    broken_off_ = true;
    co_await send(std::move(wire));
  }

  // As it stands between quotes. What we say of a head is our own words: only quotes occur in them.
  static std::string json_escaped(std::string_view text) {
    std::string quoted;
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return quoted;
  }

  // Lets the client read our last words before a close with unread bytes would reset them away.
  asio::awaitable<void> linger() {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    lingering_ = true;
    const Clock::time_point until = Clock::now() + kLingerLimit;
    std::uint64_t left = body_decoder_.remaining().value_or(0) + kLingerBytes;
    while (Clock::now() < until && socket_.is_open() && received_.size() <= left) {
      left -= received_.size();
      received_.consume(received_.size());
      const ScopedDeadline deadline(read_deadline_, std::min(until, Clock::now() + kLingerSilence));
      if (const auto error = co_await receive_some(socket_, received_); error) break;
    }
  }

  // Whether what is unread of the body will be read, so that the connection can go on. Known before the
  // answer begins: a client that is not told sends its next request into a connection that closes.
  bool can_skip_rest() const {
    if (body_decoder_.is_complete()) return true;
    if (body_unreadable_ || expects_continue_) return false;
    return body_decoder_.remaining().value_or(0) <= kMaxSkippedBody;
  }

  asio::awaitable<void> skip_rest() {
    std::size_t skipped = 0;
    while (keep_alive_ && !body_decoder_.is_complete()) {
      auto piece = co_await read_body_piece();
      if (piece) skipped += piece->size();
      if (!piece || skipped > kMaxSkippedBody) keep_alive_ = false;
    }
  }

  // Not empty before the body's end. Errors: cancelled, invalid_request, too_large, request_timeout.
  asio::awaitable<Result<std::string>> read_body_piece() {
    std::string piece;
    while (!body_decoder_.is_complete()) {
      if (!received_.empty()) {
        const auto taken = body_decoder_.feed(received_.view(), piece);
        if (!taken) co_return std::unexpected(taken.error());
        received_.consume(*taken);
        if (!piece.empty() || body_decoder_.is_complete()) break;
      }
      const ScopedDeadline deadline(read_deadline_, Clock::now() + microseconds(options_.stall_limit));
      const ScopedFlag awaiting(awaiting_body_);
      const auto error = co_await receive_some(socket_, received_);
      if (body_timed_out_)
        co_return fail(ErrorCode::request_timeout,
                       fmt::format("the client sent nothing more of its body within limits.stall_limit, {}",
                                   to_string(options_.stall_limit)));
      if (error) co_return std::unexpected(client_closed_error());
    }
    co_return piece;
  }

  // After a 101: what arrived; empty at the end.
  asio::awaitable<Result<std::string>> read_raw() {
    boost::system::error_code error;
    if (received_.empty()) error = co_await receive_some(socket_, received_);
    if (error && error != asio::error::eof) co_return std::unexpected(client_closed_error());
    std::string piece(received_.view());
    received_.consume(piece.size());
    co_return piece;
  }

  asio::awaitable<Result<void>> send(std::string all) { return send(std::move(all), std::string{}, {}); }

  asio::awaitable<Result<void>> send(std::string front, std::string piece, std::string_view back) {
    const std::array<asio::const_buffer, 3> source{asio::buffer(front), asio::buffer(piece),
                                                   asio::buffer(back)};
    const ScopedDeadline deadline(write_deadline_, Clock::now() + microseconds(options_.stall_limit));
    auto [error, n] = co_await asio::async_write(socket_, source, kAsTuple);
    client_gone_ |= error == asio::error::broken_pipe || error == asio::error::connection_reset;
    if (error) co_return std::unexpected(client_closed_error());
    co_return Result<void>{};
  }

  tcp::socket socket_;
  ReceiveBuffer received_;
  BodyDecoder body_decoder_ = BodyDecoder::of_length(0);
  const ServerOptions& options_;
  HangupWatch& hangup_watch_;
  std::string address_;
  std::uint16_t port_ = 0;
  bool reserved_ = false;
  RequestHead head_;
  bool http_1_0_ = false, keep_alive_ = false, expects_continue_ = false;
  std::string unsent_head_;  // the answer's head, until something goes with it
  std::optional<Clock::time_point> idle_since_;
  Clock::time_point read_deadline_ = kNoDeadline,
                    write_deadline_ = kNoDeadline;  // what the client must do by then
  bool response_begun_ = false, response_finished_ = false, chunked_ = false, raw_ = false;
  bool until_close_ = false;       // the answer's body ends with the connection
  bool read_in_progress_ = false;  // somebody is in read()
  bool awaiting_body_ = false;     // the client is waited for to send more of it
  bool body_timed_out_ = false;    // it did not
  bool broken_off_ = false;        // the connection ends in the middle of an exchange
  bool lingering_ = false;
  bool client_gone_ = false;      // the client
  bool body_unreadable_ = false;  // the rest of the body, after an error
};

}  // namespace

asio::awaitable<Result<void>> send_response(Exchange& exchange, int status, Headers headers,
                                            std::string body) {
  ResponseHead head{.status = status, .headers = std::move(headers), .length = body.size()};
  auto begun = co_await exchange.send_head(std::move(head));
  if (begun) begun = co_await exchange.write(std::move(body));
  co_await exchange.finish();
  co_return begun;
}

asio::awaitable<Result<std::string>> read_body(Exchange& exchange, Bytes limit) {
  std::string body;
  while (true) {
    auto piece = co_await exchange.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return body;
    body += *piece;
    if (Bytes{static_cast<std::int64_t>(body.size())} > limit)
      co_return fail(ErrorCode::too_large, fmt::format("the body is larger than {}", to_string(limit)));
  }
}

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(asio::io_context& context, ServerOptions server_options, Handler h)
      : io(context),
        options(std::move(server_options)),
        handler(std::move(h)),
        acceptor(context),
        hangup_watch(context),
        sweep_timer(context) {}

  asio::awaitable<void> accept_connections() {
    while (acceptor.is_open()) {
      auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
      if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
      if (error == asio::error::no_descriptors) {
        warn("descriptors", "no file descriptor is left for a new connection; see limits.max_connections");
        if (close_idle_connection({})) continue;
      }
      if (error) {  // nothing can be done but to wait until others close
        asio::steady_timer pause(io, std::chrono::milliseconds(50));
        co_await pause.async_wait(kAsTuple);
        continue;
      }
      admit(std::move(socket));
    }
  }

  void admit(tcp::socket socket) {
    boost::system::error_code failed;
    const auto peer = socket.remote_endpoint(failed);
    if (failed) return;  // left already
    const std::string address = peer.address().to_string();
    bool reserved = false;
    if (connections_from(address) >= options.connections_per_address) {
      warn("address", fmt::format("{} has as many connections as limits.connections_per_address allows, {}",
                                  address, options.connections_per_address));
      if (!close_idle_connection(address)) return;  // closing it is the answer: nothing is queued for it
    }
    if (staying_count() >= options.max_connections) {
      warn("all", fmt::format("all limits.max_connections, {}, are open", options.max_connections));
      reserved = !close_idle_connection({});
      const bool room = staying_count() < options.max_connections + kReservedConnections;
      if (reserved && (!peer.address().is_loopback() || !room)) return;
    }
    asio::co_spawn(io, serve(std::move(socket), address, peer.port(), reserved), asio::detached);
  }

  asio::awaitable<void> serve(tcp::socket socket, std::string address, std::uint16_t port, bool reserved) {
    const auto self = shared_from_this();
    Connection connection(std::move(socket), address, port, reserved, options, hangup_watch);
    connections.insert(&connection);
    ++count_by_address[address];
    try {
      co_await connection.serve_requests(handler);
    } catch (const std::exception&) {  // a library threw in a handler: this connection ends, the others go on
      connection.abort();
      connection.close();
    }
    connections.erase(&connection);
    closing.erase(&connection);
    if (--count_by_address[address] == 0) count_by_address.erase(address);
    stop_sweep_if_finished();
  }

  std::size_t staying_count() const { return connections.size() - closing.size(); }

  std::uint32_t connections_from(const std::string& address) const {
    const auto found = count_by_address.find(address);
    return found == count_by_address.end() ? 0 : found->second;
  }

  // Makes room: the connection that has been idle the longest, of `peer_address`, or where that is empty of
  // the address that has the most. False: none is idle.
  bool close_idle_connection(const std::string& address) {
    Connection* victim = nullptr;
    std::uint32_t most = 0;
    for (Connection* connection : connections) {
      if (!connection->idle_since() || closing.contains(connection)) continue;
      if (!address.empty() && connection->peer_address() != address) continue;
      const std::uint32_t count = connections_from(connection->peer_address());
      const bool better = victim == nullptr || count > most ||
                          (count == most && *connection->idle_since() < *victim->idle_since());
      if (better) victim = connection, most = count;
    }
    if (victim == nullptr) return false;
    closing.insert(victim);
    victim->shut_down();
    return true;
  }

  void warn(const std::string& kind, const std::string& what) {
    constexpr auto kPause = std::chrono::minutes(1);
    const auto now = Clock::now();
    const auto [last, first] = last_warned.try_emplace(kind, now);
    if (!first && now - last->second < kPause) return;
    last->second = now;
    if (options.warn) options.warn(what);
  }

  // One look at all connections now and then, instead of a timer for each read and write.
  asio::awaitable<void> sweep_deadlines() {
    const auto self = shared_from_this();
    const auto shortest = std::min(microseconds(options.stall_limit), microseconds(options.idle_limit));
    const auto pause = std::clamp(shortest / 4, microseconds(1'000), microseconds(1'000'000));
    while (!is_finished()) {
      sweep_timer.expires_after(pause);
      co_await sweep_timer.async_wait(kAsTuple);
      const Clock::time_point now = Clock::now();
      for (Connection* connection : connections) connection->enforce_deadlines(now);
    }
  }

  bool is_finished() const { return !acceptor.is_open() && connections.empty(); }
  void stop_sweep_if_finished() {
    if (is_finished()) sweep_timer.cancel();
  }

  asio::io_context& io;
  ServerOptions options;
  Handler handler;
  tcp::acceptor acceptor;
  HangupWatch hangup_watch;
  asio::steady_timer sweep_timer;
  std::set<Connection*> connections;
  std::set<Connection*> closing;  // of `open`: told to go, and not gone yet
  std::map<std::string, std::uint32_t> count_by_address;
  std::map<std::string, Clock::time_point> last_warned;
};

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, ServerOptions options, Handler handler) {
  auto impl = std::make_shared<Impl>(io, std::move(options), std::move(handler));
  const Endpoint& listen = impl->options.listen;
  const std::string name = display_name(listen);
  if (listen.scheme != Scheme::http)
    return fail(ErrorCode::not_supported,
                fmt::format("can't listen on {}: there is no TLS yet, only http", to_url(listen)));
  boost::system::error_code error;
  const std::string host = listen.host == "localhost" ? "127.0.0.1"
                           : listen.host == "*"       ? "0.0.0.0"
                                                      : listen.host;
  const auto address = asio::ip::make_address(host, error);
  if (error)
    return fail(ErrorCode::invalid_request,
                fmt::format("can't listen on {}: {} is not an address", name, listen.host));
  const tcp::endpoint endpoint(address, listen.port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(SOMAXCONN, error);
  if (error == asio::error::address_in_use)
    return fail(ErrorCode::unavailable, fmt::format("can't listen on {}: the port is taken", name));
  if (error)
    return fail(ErrorCode::unavailable, fmt::format("can't listen on {}: {}", name, error.message()));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::start_accepting() {
  const auto executor = impl_->acceptor.get_executor();
  asio::co_spawn(executor, impl_->accept_connections(), asio::detached);
  asio::co_spawn(executor, impl_->sweep_deadlines(), asio::detached);
}

Result<std::unique_ptr<Server>> Server::start(asio::io_context& io, ServerOptions options, Handler handler) {
  auto server = listen(io, std::move(options), std::move(handler));
  if (server) (*server)->start_accepting();
  return server;
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { close(); }

Endpoint Server::endpoint() const {
  Endpoint endpoint = impl_->options.listen;
  endpoint.port = port();
  return endpoint;
}
std::uint16_t Server::port() const {
  boost::system::error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}
std::size_t Server::connection_count() const { return impl_->connections.size(); }

void Server::stop_accepting() {
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->stop_sweep_if_finished();
}

void Server::close() {
  stop_accepting();
  for (Connection* connection : impl_->connections) connection->shut_down();
}

}  // namespace mgpu::http
