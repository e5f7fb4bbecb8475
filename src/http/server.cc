#include "http/server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include "http/beast.h"
#include "http/hangup.h"

namespace mgpu::http {
namespace {

using Clock = std::chrono::steady_clock;
using Parser = beast_http::request_parser<beast_http::buffer_body>;

constexpr Clock::time_point kNever = Clock::time_point::max();

constexpr std::size_t kSkipped = 256 * 1024;  // of an unread body, before the connection is closed instead

// Since when we wait for the client to do something, for as long as it lives.
class Awaited {
 public:
  explicit Awaited(Clock::time_point& since) : since_(since) { since_ = Clock::now(); }
  Awaited(const Awaited&) = delete;
  Awaited& operator=(const Awaited&) = delete;
  ~Awaited() { since_ = kNever; }

 private:
  Clock::time_point& since_;
};

Error gone_away() { return {Code::cancelled, "the client closed its connection"}; }

class Connection final : public Exchange {
 public:
  Connection(tcp::socket socket, const ServerOptions& options, HangupWatch& hangups)
      : stream_(std::move(socket)), options_(options), hangups_(hangups) {
    boost::system::error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    if (const auto peer = stream_.socket().remote_endpoint(ignored); !ignored) {
      address_ = peer.address().to_string();
      port_ = peer.port();
    }
  }

  // Requests in a row, until one side has had enough.
  asio::awaitable<void> serve(const Server::Handler& handler) {
    while (stream_.socket().is_open() && co_await next_request()) {
      co_await handler(*this);
      if (left_ && !finished_) break_off();
      if (!begun_ && !finished_) {
        Headers none;
        std::string nothing;
        co_await answer(*this, 500, std::move(none), std::move(nothing));
      }
      if (!finished_) break_off();
      if (!keep_alive_ || left_) break;
    }
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

  const RequestHead& head() const override { return head_; }
  const std::string& address() const override { return address_; }
  std::uint16_t port() const override { return port_; }

  asio::awaitable<Result<std::string>> read() override {
    if (raw_) {
      auto [error, piece] = co_await next_raw(stream_, buffer_);
      if (error) co_return std::unexpected(gone_away());
      co_return std::move(piece);
    }
    if (parser_->is_done()) co_return std::string{};
    if (too_long_) co_return std::unexpected(too_large());
    if (std::exchange(expects_continue_, false)) {
      std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      if (auto sent = co_await send(std::move(go_on)); !sent) co_return std::unexpected(sent.error());
    }
    auto [error, piece] = co_await next_of_body();
    if (error) unreadable_ = true;
    if (error == beast_http::error::body_limit) co_return std::unexpected(too_large());
    if (error.category() == beast_http::make_error_code(beast_http::error::bad_chunk).category() &&
        error != beast_http::error::partial_message && error != beast_http::error::end_of_stream)
      co_return fail(Code::invalid_request, "the request's body is framed wrongly: " + error.message());
    if (error) co_return std::unexpected(gone_away());
    co_return std::move(piece);
  }

  asio::awaitable<Result<void>> begin(AnswerHead answer_head) override {
    begun_ = true;
    raw_ = answer_head.status == 101;
    const bool until_close = !answer_head.length && http_1_0_;
    chunked_ = !answer_head.length && !http_1_0_ && !bodiless(answer_head.status);
    if (until_close) keep_alive_ = false;
    if (!skips_the_rest()) keep_alive_ = false;
    unsent_ = to_wire(answer_head, {.keep_alive = keep_alive_ && !raw_, .http_1_0 = http_1_0_});
    if (answer_head.length && !raw_) co_return Result<void>{};  // its body is not far
    std::string wire = std::exchange(unsent_, {});
    co_return co_await send(std::move(wire));
  }

  asio::awaitable<Result<void>> write(std::string piece) override {
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
    if (raw_) {
      keep_alive_ = false;
      co_return;
    }
    std::string last = std::exchange(unsent_, {});
    if (chunked_ && head_.method != "HEAD") last += kLastChunk;
    if (!last.empty())
      if (const auto sent = co_await send(std::move(last)); !sent) keep_alive_ = false;
    co_await skip_the_rest();
  }

  void break_off() override {
    keep_alive_ = false;
    finished_ = true;
    // A reset, not a clean end: where the body had no length, a clean end would look complete.
    boost::system::error_code ignored;
    if (!stream_.socket().is_open()) return;
    hangups_.forget(stream_.socket().native_handle());
    stream_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
    stream_.close();
  }

  asio::awaitable<void> gone() override {
    if (buffer_.size() == 0) buffer_.shrink_to_fit();  // who waits long should cost little
    const int fd = stream_.socket().native_handle();
    left_ |= co_await hangups_.wait(fd);
  }

  // Gives a client up that has kept us waiting since before `then`.
  void end_if_stalled(Clock::time_point then) {
    if (reading_since_ < then || writing_since_ < then) break_off();
  }

  // Wakes whatever waits on the connection; serve() then closes it.
  void hang_up() {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.cancel();
  }

 private:
  Error too_large() const {
    return {Code::too_large,
            fmt::format("the body is larger than limits.max_body, {}", to_string(options_.max_body))};
  }

  asio::awaitable<bool> next_request() {
    if (buffer_.size() == 0 && buffer_.capacity() > kHeadRoom) buffer_.shrink_to_fit();
    buffer_.reserve(kHeadRoom);
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(options_.max_header.count));
    parser_->body_limit(boost::none);  // read() tells: then the answer can be in the caller's protocol
    stream_.expires_after(options_.idle_limit);
    auto [error, n] = co_await beast_http::async_read_header(stream_, buffer_, *parser_, kQuietly);
    stream_.expires_never();
    begun_ = finished_ = raw_ = chunked_ = unreadable_ = false;
    if (error) {
      co_await complain(error);
      co_return false;
    }
    const auto max_body = static_cast<std::uint64_t>(options_.max_body.count);
    too_long_ = parser_->content_length() && *parser_->content_length() > max_body;
    if (parser_->chunked()) parser_->body_limit(max_body);
    const auto& message = parser_->get();
    head_ = {.method = std::string(message.method_string()),
             .target = std::string(message.target()),
             .headers = end_to_end(message),
             .length = length_of(*parser_)};
    http_1_0_ = message.version() < 11;
    keep_alive_ = message.keep_alive();
    expects_continue_ = beast::iequals(message[beast_http::field::expect], "100-continue");
    co_return true;
  }

  // What a person sees who sent something that is no HTTP; silence where nothing was sent.
  asio::awaitable<void> complain(boost::system::error_code error) {
    int status = 0;
    std::string why;
    if (error == beast_http::error::header_limit || error == beast_http::error::buffer_overflow) {
      status = 413;
      why = fmt::format("the request's header is larger than limits.max_header, {}",
                        to_string(options_.max_header));
    } else if (error != beast_http::error::end_of_stream && error != beast_http::error::partial_message &&
               error.category() == beast_http::make_error_code(beast_http::error::bad_chunk).category()) {
      status = 400;
      why = "this is not an HTTP/1.1 request: " + error.message();
    }
    if (status == 0) co_return;
    const std::string code = status == 400 ? "invalid_request" : "too_large";
    const std::string body = fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})", code, why);
    const AnswerHead head{
        .status = status, .headers = {{"Content-Type", "application/json"}}, .length = body.size()};
    std::string wire = to_wire(head, {.keep_alive = false}) + body;
    co_await send(std::move(wire));
    co_await linger();
  }

  // Lets the client read our last words before a close with unread bytes would reset them away.
  asio::awaitable<void> linger() {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(2));
    std::string nowhere(kPiece, '\0');
    for (std::size_t skipped = 0; skipped < 4 * kSkipped;) {
      const auto target = asio::buffer(nowhere);
      auto [error, n] = co_await stream_.async_read_some(target, kQuietly);
      if (error) break;
      skipped += n;
    }
  }

  // Whether what is unread of the body will be read, so that the connection can go on. Known before the
  // answer begins: a client that is not told sends its next request into a connection that closes.
  bool skips_the_rest() const {
    if (parser_->is_done()) return true;
    if (unreadable_ || expects_continue_) return false;
    return parser_->chunked() || parser_->content_length_remaining().value_or(kSkipped + 1) <= kSkipped;
  }

  asio::awaitable<void> skip_the_rest() {
    std::size_t skipped = 0;
    while (keep_alive_ && !parser_->is_done()) {
      if (skipped > kSkipped) {
        keep_alive_ = false;
        break;
      }
      auto [error, piece] = co_await next_of_body();
      if (error) keep_alive_ = false;
      skipped += piece.size();
    }
    if (!keep_alive_ && !parser_->is_done()) co_await linger();
  }

  asio::awaitable<std::pair<boost::system::error_code, std::string>> next_of_body() {
    const Awaited client(reading_since_);
    co_return co_await next_piece(stream_, buffer_, *parser_);
  }

  asio::awaitable<Result<void>> send(std::string all) { return send(std::move(all), std::string{}, {}); }

  asio::awaitable<Result<void>> send(std::string front, std::string piece, std::string_view back) {
    const std::array<asio::const_buffer, 3> source{asio::buffer(front), asio::buffer(piece),
                                                   asio::buffer(back)};
    const Awaited client(writing_since_);
    auto [error, n] = co_await asio::async_write(stream_, source, kQuietly);
    if (error) co_return std::unexpected(gone_away());
    co_return Result<void>{};
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  const ServerOptions& options_;
  HangupWatch& hangups_;
  std::string address_;
  std::uint16_t port_ = 0;
  RequestHead head_;
  bool http_1_0_ = false, keep_alive_ = false, expects_continue_ = false;
  std::string unsent_;  // the answer's head, until something goes with it
  Clock::time_point reading_since_ = kNever, writing_since_ = kNever;  // what we wait for the client to do
  bool begun_ = false, finished_ = false, chunked_ = false, raw_ = false;
  bool left_ = false;        // the client
  bool too_long_ = false;    // the body, by what the head declares
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
      co_return fail(Code::too_large, fmt::format("the body is larger than {}", to_string(limit)));
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
      if (error) {  // out of descriptors, most likely: let some close
        asio::steady_timer pause(io, std::chrono::milliseconds(50));
        co_await pause.async_wait(kQuietly);
        continue;
      }
      if (open.size() >= options.max_connections)
        continue;  // closing it is the answer: nothing is queued for it
      asio::co_spawn(io, serve(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    const auto self = shared_from_this();
    Connection connection(std::move(socket), options, hangups);
    open.insert(&connection);
    try {
      co_await connection.serve(handler);
    } catch (const std::exception&) {  // a library threw in a handler: this connection ends, the others go on
      connection.break_off();
    }
    open.erase(&connection);
    rest_if_over();
  }

  // One look at all connections now and then, instead of a timer for each read and write.
  asio::awaitable<void> give_up_stalled() {
    const auto self = shared_from_this();
    const auto limit = std::chrono::microseconds(options.stall_limit);
    const auto pause =
        std::clamp(limit / 4, std::chrono::microseconds(1'000), std::chrono::microseconds(10'000'000));
    while (!over()) {
      round.expires_after(pause);
      co_await round.async_wait(kQuietly);
      const Clock::time_point then = Clock::now() - limit;
      for (Connection* connection : open) connection->end_if_stalled(then);
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
    return fail(Code::invalid_request,
                fmt::format("can't listen on {}: {} is not an address", listen, where->host));
  const tcp::endpoint endpoint(address, where->port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(SOMAXCONN, error);
  if (error == asio::error::address_in_use)
    return fail(Code::unavailable, fmt::format("can't listen on {}: the port is taken", listen));
  if (error) return fail(Code::unavailable, fmt::format("can't listen on {}: {}", listen, error.message()));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::open() {
  const auto executor = impl_->acceptor.get_executor();
  asio::co_spawn(executor, impl_->accept_all(), asio::detached);
  asio::co_spawn(executor, impl_->give_up_stalled(), asio::detached);
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
