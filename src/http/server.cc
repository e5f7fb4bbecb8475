// Accepts connections within their limits, and enforces the deadlines of all of them.
#include "http/server.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "http/awaitable.h"
#include "http/listener.h"
#include "http/request_loop.h"
#include "http/server_stream.h"

namespace mgpu::http {

using Clock = ServerStream::Clock;
using std::chrono::microseconds;

namespace {

constexpr int kFreePortTries = 20;

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(asio::io_context& context, ServerOptions server_options, Handler h)
      : io(context), options(std::move(server_options)), handler(std::move(h)), sweep_timer(context) {}

  // On all addresses of options.listen that this host has.
  Result<void> open() {
    Result<void> opened = open_once();
    // The port that was free on the first address may be taken on the second.
    for (int tries = 0; !opened && options.listen.port == 0 && tries < kFreePortTries; ++tries)
      opened = open_once();
    return opened;
  }

  Result<void> open_once() {
    listeners.clear();
    Result<void> missing{};
    for (Endpoint endpoint : listen_endpoints(options.listen)) {
      if (!listeners.empty()) endpoint.port = listeners.front()->port();
      auto listener = std::make_unique<Listener>(io);
      const auto opened = listener->open(endpoint);
      if (opened)
        listeners.push_back(std::move(listener));
      else if (opened.error().code == ErrorCode::not_found)
        missing = opened;
      else
        return opened;
    }
    return listeners.empty() ? missing : Result<void>{};
  }

  asio::awaitable<void> accept_connections(Listener& listener) {
    const auto self = shared_from_this();
    while (listener.is_open()) {
      auto accepted = co_await listener.accept();
      if (accepted) {
        admit(std::move(*accepted));
        continue;
      }
      if (accepted.error() == AcceptFailure::closed) co_return;
      if (accepted.error() == AcceptFailure::no_descriptors) {
        warn("descriptors", "no file descriptor is left for a new connection; see limits.max_connections");
        if (close_idle_connection({})) continue;
      }
      asio::steady_timer pause(io, std::chrono::milliseconds(50));  // until other connections close
      co_await pause.async_wait(kAsTuple);
    }
  }

  // Serves the connection, or closes it by dropping it: connections over the client's limit are not queued.
  void admit(AcceptedConnection accepted) {
    const PeerAddress& peer = accepted.peer;
    auto connection_class = ConnectionClass::ordinary;
    if (connections_from(peer.host) >= options.connections_per_address) {
      warn("address", fmt::format("{} has as many connections as limits.connections_per_address allows, {}",
                                  peer.host, options.connections_per_address));
      if (!close_idle_connection(peer.host)) return;
    }
    if (staying_count() >= options.max_connections) {
      warn("all", fmt::format("all limits.max_connections, {}, are open", options.max_connections));
      if (!close_idle_connection({})) connection_class = ConnectionClass::reserved;
      const bool room = staying_count() < options.max_connections + kReservedConnections;
      if (connection_class == ConnectionClass::reserved && (!is_loopback_address(peer.host) || !room)) return;
    }
    asio::co_spawn(io, serve(std::move(accepted), connection_class), asio::detached);
  }

  asio::awaitable<void> serve(AcceptedConnection accepted, ConnectionClass connection_class) {
    const auto self = shared_from_this();
    ServerStream stream(std::move(accepted), connection_class, options);
    const std::string address = stream.peer().host;
    streams.insert(&stream);
    ++count_by_address[address];
    try {
      co_await serve_requests(stream, handler);
    } catch (const std::exception&) {  // no memory, ...: only this connection ends
      stream.close();
    }
    streams.erase(&stream);
    closing.erase(&stream);
    if (--count_by_address[address] == 0) count_by_address.erase(address);
    stop_sweep_if_finished();
  }

  std::size_t staying_count() const { return streams.size() - closing.size(); }

  std::uint32_t connections_from(const std::string& address) const {
    const auto found = count_by_address.find(address);
    return found == count_by_address.end() ? 0 : found->second;
  }

  // Closes the connection that has been idle the longest, of `address`, or if that is empty, of the address
  // with the most connections. False: none is idle.
  bool close_idle_connection(const std::string& address) {
    ServerStream* victim = nullptr;
    std::uint32_t most = 0;
    for (ServerStream* stream : streams) {
      if (!stream->idle_since() || closing.contains(stream)) continue;
      if (!address.empty() && stream->peer().host != address) continue;
      const std::uint32_t count = connections_from(stream->peer().host);
      const bool better = victim == nullptr || count > most ||
                          (count == most && *stream->idle_since() < *victim->idle_since());
      if (better) victim = stream, most = count;
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

  asio::awaitable<void> sweep_deadlines() {
    const auto self = shared_from_this();
    const auto shortest = std::min(microseconds(options.stall_limit), microseconds(options.idle_limit));
    const auto pause = std::clamp(shortest / 4, microseconds(1'000), microseconds(1'000'000));
    while (!is_finished()) {
      sweep_timer.expires_after(pause);
      co_await sweep_timer.async_wait(kAsTuple);
      const Clock::time_point now = Clock::now();
      for (ServerStream* stream : streams) stream->enforce_deadlines(now);
    }
  }

  bool is_listening() const {
    return std::ranges::any_of(listeners, [](const auto& listener) { return listener->is_open(); });
  }
  bool is_finished() const { return !is_listening() && streams.empty(); }
  void stop_sweep_if_finished() {
    if (is_finished()) sweep_timer.cancel();
  }

  asio::io_context& io;
  ServerOptions options;
  Handler handler;
  std::vector<std::unique_ptr<Listener>> listeners;  // one for each address, with the same port
  asio::steady_timer sweep_timer;
  std::set<ServerStream*> streams;  // each is a local variable of its serve()
  std::set<ServerStream*> closing;  // of `streams`: being closed
  std::map<std::string, std::uint32_t> count_by_address;
  std::map<std::string, Clock::time_point> last_warned;
};

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, ServerOptions options, Handler handler) {
  auto impl = std::make_shared<Impl>(io, std::move(options), std::move(handler));
  if (auto opened = impl->open(); !opened) {
    if (opened.error().code == ErrorCode::not_found) opened.error().code = ErrorCode::unavailable;
    return std::unexpected(opened.error());
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::start_accepting() {
  for (const auto& listener : impl_->listeners)
    asio::co_spawn(impl_->io, impl_->accept_connections(*listener), asio::detached);
  asio::co_spawn(impl_->io, impl_->sweep_deadlines(), asio::detached);
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

std::uint16_t Server::port() const { return impl_->listeners.front()->port(); }
std::size_t Server::connection_count() const { return impl_->streams.size(); }

void Server::stop_accepting() {
  for (const auto& listener : impl_->listeners) listener->close();
  impl_->stop_sweep_if_finished();
}

void Server::close() {
  stop_accepting();
  for (ServerStream* stream : impl_->streams) stream->shut_down();
}

}  // namespace mgpu::http
