#include "http/connection.h"

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/un.h>

#include "base/assert.h"
#include "http/addresses.h"
#include "http/awaitable.h"
#include "http/transport.h"

namespace mgpu::http {
namespace {

using namespace asio::experimental::awaitable_operators;
using tcp = asio::ip::tcp;
using Socket = Connection::Transport::Socket;

constexpr std::size_t kReadSize = 64 * 1024;  // bytes read at once

std::unexpected<Error> io_error(const boost::system::error_code& error) {
  return fail(ErrorCode::cancelled, error.message());
}

using Addresses = std::vector<Socket::endpoint_type>;
using Resolution = std::pair<boost::system::error_code, Addresses>;

Resolution unix_address(const std::string& path) {
  using Local = asio::local::stream_protocol;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return {asio::error::name_too_long, {}};
  return {{}, {Local::endpoint(path)}};
}

// All addresses that a host name resolves to.
asio::awaitable<Resolution> resolve(const Endpoint& where) {
  if (where.scheme == Scheme::unix) co_return unix_address(where.host);
  Resolution known;
  for (const std::string& text : known_addresses(where.host)) {
    boost::system::error_code invalid;
    const auto address = asio::ip::make_address(text, invalid);
    if (!invalid) known.second.emplace_back(tcp::endpoint(address, where.port));
  }
  if (!known.second.empty()) co_return known;
  tcp::resolver resolver(co_await asio::this_coro::executor);
  const std::string port = std::to_string(where.port);
  auto [failed, found] = co_await resolver.async_resolve(where.host, port, kAsTuple);
  Resolution resolution{failed, {}};
  for (const auto& entry : found) resolution.second.emplace_back(entry.endpoint());
  co_return resolution;
}

// "127.0.0.1", "[::1]"; the path of a Unix socket is named elsewhere.
std::string address_name(const Socket::endpoint_type& address) {
  tcp::endpoint tcp_address;
  if (address.size() > tcp_address.capacity()) return "";
  std::memcpy(tcp_address.data(), address.data(), address.size());
  const std::string text = tcp_address.address().to_string();
  return tcp_address.address().is_v6() ? fmt::format("[{}]", text) : text;
}

// What happened at each address: "Connection refused", and of several
// "127.0.0.1: Connection refused, [::1]: Connection refused". Empty: connected.
asio::awaitable<std::string> connect_socket(Socket& socket, const Endpoint& where) {
  auto [error, addresses] = co_await resolve(where);
  if (error) co_return error.message();
  std::string failures;
  for (const Socket::endpoint_type& address : addresses) {
    boost::system::error_code ignored;
    socket.close(ignored);
    const auto [refused] = co_await socket.async_connect(address, kAsTuple);
    if (!refused) co_return "";
    if (!failures.empty()) failures += ", ";
    failures += addresses.size() > 1 ? fmt::format("{}: {}", address_name(address), refused.message())
                                     : refused.message();
  }
  co_return failures;
}

}  // namespace

Connection::Transport::Transport(Socket connected, HangupWatch* watch)
    : socket(std::move(connected)), hangup_watch(watch) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);  // a Unix socket has no such option
  socket.non_blocking(true, ignored);
}

Connection::Transport::~Transport() {
  if (watched && socket.is_open()) hangup_watch->unwatch(socket.native_handle());
}

Connection::Connection(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}
Connection::Connection(Connection&& other) noexcept = default;
Connection& Connection::operator=(Connection&& other) noexcept = default;
Connection::~Connection() = default;

asio::awaitable<Result<Connection>> Connection::connect(asio::any_io_executor executor, Endpoint endpoint,
                                                        Duration limit) {
  if (endpoint.scheme == Scheme::https)
    co_return fail(ErrorCode::not_supported,
                   fmt::format("can't connect to {}: there is no TLS yet, only http", to_url(endpoint)));
  Socket socket(executor);
  asio::steady_timer timer(executor, limit);
  auto connected = connect_socket(socket, endpoint);
  auto timeout = timer.async_wait(kAsTuple);
  auto either = std::move(connected) || std::move(timeout);
  auto first = co_await std::move(either);
  std::string why = boost::system::error_code(asio::error::timed_out).message();
  if (first.index() == 0) why = std::get<0>(std::move(first));
  if (!why.empty())
    co_return fail(ErrorCode::service_down, fmt::format("can't reach {}: {}", display_name(endpoint), why));
  co_return Connection(std::make_unique<Transport>(std::move(socket), nullptr));
}

asio::awaitable<Result<std::size_t>> Connection::receive() {
  thread_local std::array<char, kReadSize> scratch;  // not held across an await
  Transport& transport = *transport_;
  while (true) {
    auto [error] = co_await transport.socket.async_wait(Socket::wait_read, kAsTuple);
    if (error) co_return io_error(error);
    const std::size_t size = transport.socket.read_some(asio::buffer(scratch), error);
    if (error == asio::error::would_block) continue;
    if (error == asio::error::eof) co_return 0U;
    if (error) co_return io_error(error);
    transport.received.append(std::string_view(scratch.data(), size));
    co_return size;
  }
}

std::string_view Connection::received() const { return transport_->received.view(); }
void Connection::consume(std::size_t count) { transport_->received.consume(count); }

asio::awaitable<Result<void>> Connection::send(std::string front, std::string piece, std::string_view back) {
  Transport& transport = *transport_;
  const std::array<asio::const_buffer, 3> source{asio::buffer(front), asio::buffer(piece),
                                                 asio::buffer(back)};
  auto [error, size] = co_await asio::async_write(transport.socket, source, kAsTuple);
  transport.bytes_sent += size;
  transport.refused_by_peer |= error == asio::error::broken_pipe || error == asio::error::connection_reset;
  if (error) co_return io_error(error);
  co_return Result<void>{};
}

bool Connection::try_send(std::string_view text) {
  boost::system::error_code error;
  const std::size_t size = transport_->socket.write_some(asio::buffer(text), error);
  transport_->bytes_sent += size;
  return size == text.size();
}

std::uint64_t Connection::bytes_sent() const { return transport_->bytes_sent; }
bool Connection::is_refused_by_peer() const { return transport_->refused_by_peer; }

asio::awaitable<bool> Connection::wait_until_disconnected(std::function<bool()> probe) {
  MGPU_ASSERT(transport_->hangup_watch != nullptr, "only accepted connections are watched");
  transport_->watched = true;
  return transport_->hangup_watch->wait_for_hangup(transport_->socket.native_handle(), std::move(probe));
}

void Connection::stop_watching() {
  if (transport_->watched && is_open()) transport_->hangup_watch->unwatch(transport_->socket.native_handle());
}

bool Connection::is_open() const { return transport_->socket.is_open(); }

bool Connection::is_reusable() const {
  if (!is_open() || !received().empty()) return false;
  pollfd look{.fd = transport_->socket.native_handle(), .events = POLLIN | POLLRDHUP, .revents = 0};
  return ::poll(&look, 1, 0) == 0;
}

void Connection::shutdown_send() {
  boost::system::error_code ignored;
  transport_->socket.shutdown(Socket::shutdown_send, ignored);
}

void Connection::cancel() {
  boost::system::error_code ignored;
  transport_->socket.cancel(ignored);
}

void Connection::shut_down() {
  boost::system::error_code ignored;
  transport_->socket.shutdown(Socket::shutdown_both, ignored);
  transport_->socket.cancel(ignored);
}

void Connection::close() {
  if (!is_open()) return;
  stop_watching();  // before the descriptor's number can be reused
  boost::system::error_code ignored;
  transport_->socket.close(ignored);
}

void Connection::reset() {
  if (!is_open()) return;
  boost::system::error_code ignored;
  transport_->socket.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

}  // namespace mgpu::http
