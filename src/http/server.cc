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
#include "http/hangup.h"
#include "http/head_parser.h"
#include "http/peer_state.h"
#include "http/sockets.h"

namespace mgpu::http {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr Clock::time_point kNoDeadline = Clock::time_point::max();
constexpr std::size_t kSkipped = 256 * 1024;  // of an unread body, before the connection is closed instead
constexpr std::size_t kMaxEmptyLines = 8;     // before a request line (RFC 9112, 2.2)

// After the last answer of a connection that is closed: how long the client may go on sending, how long it
// may be silent meanwhile, and how much beyond the body that it announced. A close with unread bytes would
// reset the answer away.
constexpr auto kLingerLimit = std::chrono::seconds(30);
constexpr auto kLingerSilence = std::chrono::seconds(2);
constexpr std::uint64_t kLingerBytes = 4 * 1024 * 1024;

// A moment by which the client must have done something, for as long as it lives.
class Deadline {
 public:
  Deadline(Clock::time_point& slot, Clock::time_point when) : slot_(slot) { slot_ = when; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { slot_ = kNoDeadline; }

 private:
  Clock::time_point& slot_;
};

Error gone_away() { return {ErrorCode::cancelled, "the client closed its connection"}; }

class Connection final : public Exchange {
 public:
  Connection(tcp::socket socket, std::string address, std::uint16_t port, bool reserved,
             const ServerOptions& options, HangupWatch& hangups)
      : socket_(std::move(socket)),
        options_(options),
        hangups_(hangups),
        address_(std::move(address)),
        port_(port),
        reserved_(reserved) {
    boost::system::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    http::keep_alive(socket_.native_handle());
  }

  // Requests in a row, until one side has had enough.
  asio::awaitable<void> serve(const Server::Handler& handler) {
    while (socket_.is_open() && co_await next_request()) {
      co_await handler(*this);
      if (!begun_ && !finished_ && !left_) {
        Headers none;
        std::string nothing;
        co_await answer(*this, 500, std::move(none), std::move(nothing));
      }
      if (!finished_) break_off();
      if (!keep_alive_ || left_) break;
    }
    if (!left_ && socket_.is_open() && may_be_sending()) co_await linger();
    close();
  }

  const RequestHead& head() const override { return head_; }
  const std::string& address() const override { return address_; }
  std::uint16_t port() const override { return port_; }
  bool reserved() const override { return reserved_; }

  asio::awaitable<Result<std::string>> read() override {
    if (reading_) co_return fail(ErrorCode::internal, "two reads of one request at once");
    if (finished_) co_return std::unexpected(gone_away());
    const Flag one_at_a_time(reading_);
    if (raw_) {
      auto piece = co_await next_raw();
      co_return piece;
    }
    if (body_.done()) co_return std::string{};
    if (head_.length.value_or(0) > max_body()) co_return std::unexpected(body_too_large(max_body()));
    if (std::exchange(expects_continue_, false)) {
      std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      if (auto sent = co_await send(std::move(go_on)); !sent) co_return std::unexpected(sent.error());
    }
    auto piece = co_await next_of_body();
    if (!piece) unreadable_ = true;
    co_return piece;
  }

  asio::awaitable<Result<void>> begin(AnswerHead answer_head) override {
    begun_ = true;
    if (finished_) co_return std::unexpected(gone_away());
    raw_ = answer_head.status == 101;
    unframed_ = !answer_head.length && http_1_0_ && !raw_;
    chunked_ = !answer_head.length && !http_1_0_ && !bodiless(answer_head.status);
    if (unframed_ || !skips_the_rest()) keep_alive_ = false;
    unsent_ = to_wire(answer_head, {.keep_alive = keep_alive_ && !raw_, .http_1_0 = http_1_0_});
    if (answer_head.length && !raw_) co_return Result<void>{};  // its body is not far
    std::string wire = std::exchange(unsent_, {});
    co_return co_await send(std::move(wire));
  }

  asio::awaitable<Result<void>> write(std::string piece) override {
    if (finished_) co_return std::unexpected(gone_away());
    if (piece.empty() || head_.method == "HEAD") co_return Result<void>{};
    const bool framed = chunked_ && !raw_;
    std::string front = std::exchange(unsent_, {});
    if (framed) front += chunk_front(piece.size());
    const std::string_view back = framed ? kChunkBack : std::string_view{};
    co_return co_await send(std::move(front), std::move(piece), back);
  }

  asio::awaitable<void> finish() override {
    if (finished_) co_return;
    finished_ = true;
    if (raw_) keep_alive_ = false;
    std::string last = std::exchange(unsent_, {});
    if (chunked_ && head_.method != "HEAD") last += kLastChunk;
    if (!last.empty())
      if (const auto sent = co_await send(std::move(last)); !sent) keep_alive_ = false;
    if (reading_) keep_alive_ = false;  // whoever still reads must not be raced for the next request's bytes
    if (keep_alive_) co_await skip_the_rest();
  }

  void break_off() override {
    keep_alive_ = false;
    finished_ = true;
    if (!socket_.is_open()) return;
    if (left_ || (begun_ && unframed_)) return reset();
    broken_ = true;
    hangups_.forget(socket_.native_handle());
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  asio::awaitable<void> gone() override {
    if (!socket_.is_open()) co_return;
    const int fd = socket_.native_handle();
    std::function<bool()> provoke = [this] { return provoke_reset(); };
    auto waiting = hangups_.wait(fd, std::move(provoke));
    left_ |= co_await std::move(waiting);
  }

  // Gives a client up that has kept us waiting for too long.
  void end_if_late(Clock::time_point now) {
    if (reading_by_ >= now && writing_by_ >= now) return;
    if (lingering_) return close();
    if (idle_since_ && received_.empty()) return hang_up();
    if (!reading_body_ || writing_by_ != kNoDeadline) return reset();
    too_late_ = true;  // it may still want to hear why
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  // Wakes whatever waits on the connection; serve() then closes it.
  void hang_up() {
    left_ = true;
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.cancel(ignored);
  }

  // Between two requests, or before a head is complete: since when. None while a request is served.
  std::optional<Clock::time_point> idle_since() const { return idle_since_; }

  void close() {
    if (!socket_.is_open()) return;
    hangups_.forget(socket_.native_handle());
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  // True for as long as it lives.
  class Flag {
   public:
    explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
    Flag(const Flag&) = delete;
    Flag& operator=(const Flag&) = delete;
    ~Flag() { flag_ = false; }

   private:
    bool& flag_;
  };

  std::uint64_t max_body() const { return static_cast<std::uint64_t>(options_.max_body.count); }

  void reset() {
    if (!socket_.is_open()) return;
    left_ = true;
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    close();
  }

  asio::awaitable<bool> next_request() {
    begun_ = finished_ = raw_ = chunked_ = unframed_ = unreadable_ = false;
    keep_alive_ = false;
    idle_since_ = Clock::now();
    const Deadline client(reading_by_, *idle_since_ + microseconds(options_.idle_limit));
    auto head = co_await next_head();
    idle_since_.reset();
    if (!head) {
      if (head.error().code == ErrorCode::cancelled)
        left_ = true;  // it said nothing, or not all: nobody waits for an answer
      else
        co_await complain(head.error());
      co_return false;
    }
    head_ = std::move(head->head);
    http_1_0_ = head->http_1_0;
    keep_alive_ = head->keep_alive && !reserved_;
    expects_continue_ = head->expects_continue;
    body_ = head_.length
                ? BodyDecoder::of_length(*head_.length)
                : BodyDecoder::chunked({.max_data = max_body(),
                                        .max_framing = static_cast<std::size_t>(options_.max_header.count)});
    co_return true;
  }

  // Errors: cancelled (the client left before its head was complete), those of the parser, too_large.
  asio::awaitable<Result<ParsedRequest>> next_head() {
    const auto most = static_cast<std::size_t>(options_.max_header.count);
    const auto size = co_await receive_head(socket_, received_, most, kMaxEmptyLines);
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
  bool provoke_reset() {
    if (begun_) return true;
    if (http_1_0_) return false;
    boost::system::error_code error;
    static constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";
    return socket_.write_some(asio::buffer(kInterim), error) == kInterim.size();
  }

  // Whether bytes of the client may still be on their way, which a close would answer with a reset.
  bool may_be_sending() const { return !body_.done() || !received_.empty() || broken_; }

  // What a person sees who sent something that is no HTTP. Nothing after it can be understood, so the
  // connection ends.
  asio::awaitable<void> complain(Error error) {
    if (error.code == ErrorCode::invalid_request)
      error.detail = "this is not a proper HTTP/1.1 request: " + error.detail;
    const std::string body = fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})",
                                         to_string(error.code), json_text(error.detail));
    const AnswerHead head{.status = http_status(error.code),
                          .headers = {{"Content-Type", "application/json"}},
                          .length = body.size()};
    std::string wire = to_wire(head, {.keep_alive = false}) + body;
    broken_ = true;
    co_await send(std::move(wire));
  }

  // As it stands between quotes. What we say of a head is our own words: only quotes occur in them.
  static std::string json_text(std::string_view text) {
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
    std::uint64_t left = body_.remaining().value_or(0) + kLingerBytes;
    while (Clock::now() < until && socket_.is_open() && received_.size() <= left) {
      left -= received_.size();
      received_.consume(received_.size());
      const Deadline client(reading_by_, std::min(until, Clock::now() + kLingerSilence));
      if (const auto error = co_await receive(socket_, received_); error) break;
    }
  }

  // Whether what is unread of the body will be read, so that the connection can go on. Known before the
  // answer begins: a client that is not told sends its next request into a connection that closes.
  bool skips_the_rest() const {
    if (body_.done()) return true;
    if (unreadable_ || expects_continue_) return false;
    return body_.remaining().value_or(0) <= kSkipped;
  }

  asio::awaitable<void> skip_the_rest() {
    std::size_t skipped = 0;
    while (keep_alive_ && !body_.done()) {
      auto piece = co_await next_of_body();
      if (piece) skipped += piece->size();
      if (!piece || skipped > kSkipped) keep_alive_ = false;
    }
  }

  // Not empty before the body's end. Errors: cancelled, invalid_request, too_large, request_timeout.
  asio::awaitable<Result<std::string>> next_of_body() {
    std::string piece;
    while (!body_.done()) {
      if (!received_.empty()) {
        const auto taken = body_.feed(received_.view(), piece);
        if (!taken) co_return std::unexpected(taken.error());
        received_.consume(*taken);
        if (!piece.empty() || body_.done()) break;
      }
      const Deadline client(reading_by_, Clock::now() + microseconds(options_.stall_limit));
      const Flag marked(reading_body_);
      const auto error = co_await receive(socket_, received_);
      if (too_late_)
        co_return fail(ErrorCode::request_timeout,
                       fmt::format("the client sent nothing more of its body within limits.stall_limit, {}",
                                   to_string(options_.stall_limit)));
      if (error) co_return std::unexpected(gone_away());
    }
    co_return piece;
  }

  // After a 101: what arrived; empty at the end.
  asio::awaitable<Result<std::string>> next_raw() {
    boost::system::error_code error;
    if (received_.empty()) error = co_await receive(socket_, received_);
    if (error && error != asio::error::eof) co_return std::unexpected(gone_away());
    std::string piece(received_.view());
    received_.consume(piece.size());
    co_return piece;
  }

  asio::awaitable<Result<void>> send(std::string all) { return send(std::move(all), std::string{}, {}); }

  asio::awaitable<Result<void>> send(std::string front, std::string piece, std::string_view back) {
    const std::array<asio::const_buffer, 3> source{asio::buffer(front), asio::buffer(piece),
                                                   asio::buffer(back)};
    const Deadline client(writing_by_, Clock::now() + microseconds(options_.stall_limit));
    auto [error, n] = co_await asio::async_write(socket_, source, kQuietly);
    left_ |= error == asio::error::broken_pipe || error == asio::error::connection_reset;
    if (error) co_return std::unexpected(gone_away());
    co_return Result<void>{};
  }

  tcp::socket socket_;
  ReceiveBuffer received_;
  BodyDecoder body_ = BodyDecoder::of_length(0);
  const ServerOptions& options_;
  HangupWatch& hangups_;
  std::string address_;
  std::uint16_t port_ = 0;
  bool reserved_ = false;
  RequestHead head_;
  bool http_1_0_ = false, keep_alive_ = false, expects_continue_ = false;
  std::string unsent_;  // the answer's head, until something goes with it
  std::optional<Clock::time_point> idle_since_;
  Clock::time_point reading_by_ = kNoDeadline, writing_by_ = kNoDeadline;  // what the client must do by then
  bool begun_ = false, finished_ = false, chunked_ = false, raw_ = false;
  bool unframed_ = false;      // the answer's body ends with the connection
  bool reading_ = false;       // somebody is in read()
  bool reading_body_ = false;  // the client is waited for to send more of it
  bool too_late_ = false;      // it did not
  bool broken_ = false;        // the connection ends in the middle of an exchange
  bool lingering_ = false;
  bool left_ = false;        // the client
  bool unreadable_ = false;  // the rest of the body, after an error
};

}  // namespace

asio::awaitable<Result<void>> answer(Exchange& exchange, int status, Headers headers, std::string body) {
  AnswerHead head{.status = status, .headers = std::move(headers), .length = body.size()};
  auto begun = co_await exchange.begin(std::move(head));
  if (begun) begun = co_await exchange.write(std::move(body));
  co_await exchange.finish();
  co_return begun;
}

asio::awaitable<Result<std::string>> read_all(Exchange& exchange, Bytes limit) {
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
  Impl(asio::io_context& context, ServerOptions opts, Handler h)
      : io(context),
        options(std::move(opts)),
        handler(std::move(h)),
        acceptor(context),
        hangups(context),
        round(context) {}

  asio::awaitable<void> accept_all() {
    while (acceptor.is_open()) {
      auto [error, socket] = co_await acceptor.async_accept(kQuietly);
      if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
      if (error == asio::error::no_descriptors) {
        warn("descriptors", "no file descriptor is left for a new connection; see limits.max_connections");
        if (close_one_idle({})) continue;
      }
      if (error) {  // nothing can be done but to wait until others close
        asio::steady_timer pause(io, std::chrono::milliseconds(50));
        co_await pause.async_wait(kQuietly);
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
    if (count_of(address) >= options.connections_per_address) {
      warn("address", fmt::format("{} has as many connections as limits.connections_per_address allows, {}",
                                  address, options.connections_per_address));
      if (!close_one_idle(address)) return;  // closing it is the answer: nothing is queued for it
    }
    if (staying() >= options.max_connections) {
      warn("all", fmt::format("all limits.max_connections, {}, are open", options.max_connections));
      reserved = !close_one_idle({});
      const bool room = staying() < options.max_connections + kReservedConnections;
      if (reserved && (!peer.address().is_loopback() || !room)) return;
    }
    asio::co_spawn(io, serve(std::move(socket), address, peer.port(), reserved), asio::detached);
  }

  asio::awaitable<void> serve(tcp::socket socket, std::string address, std::uint16_t port, bool reserved) {
    const auto self = shared_from_this();
    Connection connection(std::move(socket), address, port, reserved, options, hangups);
    open.insert(&connection);
    ++by_address[address];
    try {
      co_await connection.serve(handler);
    } catch (const std::exception&) {  // a library threw in a handler: this connection ends, the others go on
      connection.break_off();
      connection.close();
    }
    open.erase(&connection);
    being_closed.erase(&connection);
    if (--by_address[address] == 0) by_address.erase(address);
    rest_if_over();
  }

  std::size_t staying() const { return open.size() - being_closed.size(); }

  std::uint32_t count_of(const std::string& address) const {
    const auto found = by_address.find(address);
    return found == by_address.end() ? 0 : found->second;
  }

  // Makes room: the connection that has been idle the longest, of `address`, or where that is empty of the
  // address that has the most. False: none is idle.
  bool close_one_idle(const std::string& address) {
    Connection* victim = nullptr;
    std::uint32_t most = 0;
    for (Connection* connection : open) {
      if (!connection->idle_since() || being_closed.contains(connection)) continue;
      if (!address.empty() && connection->address() != address) continue;
      const std::uint32_t count = count_of(connection->address());
      const bool better = victim == nullptr || count > most ||
                          (count == most && *connection->idle_since() < *victim->idle_since());
      if (better) victim = connection, most = count;
    }
    if (victim == nullptr) return false;
    being_closed.insert(victim);
    victim->hang_up();
    return true;
  }

  void warn(const std::string& kind, const std::string& what) {
    constexpr auto kPause = std::chrono::minutes(1);
    const auto now = Clock::now();
    const auto [last, first] = warned.try_emplace(kind, now);
    if (!first && now - last->second < kPause) return;
    last->second = now;
    if (options.warn) options.warn(what);
  }

  // One look at all connections now and then, instead of a timer for each read and write.
  asio::awaitable<void> give_up_late_ones() {
    const auto self = shared_from_this();
    const auto shortest = std::min(microseconds(options.stall_limit), microseconds(options.idle_limit));
    const auto pause = std::clamp(shortest / 4, microseconds(1'000), microseconds(1'000'000));
    while (!over()) {
      round.expires_after(pause);
      co_await round.async_wait(kQuietly);
      const Clock::time_point now = Clock::now();
      for (Connection* connection : open) connection->end_if_late(now);
    }
  }

  bool over() const { return !acceptor.is_open() && open.empty(); }
  void rest_if_over() {
    if (over()) round.cancel();
  }

  asio::io_context& io;
  ServerOptions options;
  Handler handler;
  tcp::acceptor acceptor;
  HangupWatch hangups;
  asio::steady_timer round;
  std::set<Connection*> open;
  std::set<Connection*> being_closed;  // of `open`: told to go, and not gone yet
  std::map<std::string, std::uint32_t> by_address;
  std::map<std::string, Clock::time_point> warned;
};

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, ServerOptions options, Handler handler) {
  const auto where = parse_host_port(options.listen);
  if (!where) return std::unexpected(where.error());
  auto impl = std::make_shared<Impl>(io, std::move(options), std::move(handler));
  const std::string& listen = impl->options.listen;
  boost::system::error_code error;
  const std::string host = where->host == "localhost" ? "127.0.0.1"
                           : where->host == "*"       ? "0.0.0.0"
                                                      : where->host;
  const auto address = asio::ip::make_address(host, error);
  if (error)
    return fail(ErrorCode::invalid_request,
                fmt::format("can't listen on {}: {} is not an address", listen, where->host));
  const tcp::endpoint endpoint(address, where->port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(SOMAXCONN, error);
  if (error == asio::error::address_in_use)
    return fail(ErrorCode::unavailable, fmt::format("can't listen on {}: the port is taken", listen));
  if (error)
    return fail(ErrorCode::unavailable, fmt::format("can't listen on {}: {}", listen, error.message()));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::open() {
  const auto executor = impl_->acceptor.get_executor();
  asio::co_spawn(executor, impl_->accept_all(), asio::detached);
  asio::co_spawn(executor, impl_->give_up_late_ones(), asio::detached);
}

Result<std::unique_ptr<Server>> Server::start(asio::io_context& io, ServerOptions options, Handler handler) {
  auto server = listen(io, std::move(options), std::move(handler));
  if (server) (*server)->open();
  return server;
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { close(); }

std::uint16_t Server::port() const {
  boost::system::error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}
std::size_t Server::connections() const { return impl_->open.size(); }

void Server::stop_accepting() {
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->rest_if_over();
}

void Server::close() {
  stop_accepting();
  for (Connection* connection : impl_->open) connection->hang_up();
}

}  // namespace mgpu::http
