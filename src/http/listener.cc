#include "http/listener.h"

#include <cerrno>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

#include "http/addresses.h"
#include "http/awaitable.h"
#include "http/peer_state.h"
#include "http/transport.h"

namespace mgpu::http {

using tcp = asio::ip::tcp;

std::vector<Endpoint> listen_endpoints(const Endpoint& endpoint) {
  if (endpoint.host != "localhost") return {endpoint};
  std::vector<Endpoint> endpoints;
  for (const std::string& address : known_addresses(endpoint.host)) {
    endpoints.push_back(endpoint);
    endpoints.back().host = address;
  }
  return endpoints;
}

Result<void> Listener::open(const Endpoint& endpoint) {
  const std::string name = display_name(endpoint);
  if (endpoint.scheme != Scheme::http)
    return fail(ErrorCode::not_supported,
                fmt::format("can't listen on {}: there is no TLS yet, only http", to_url(endpoint)));
  const std::string host = endpoint.host == "*" ? "0.0.0.0" : endpoint.host;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error)
    return fail(ErrorCode::invalid_request,
                fmt::format("can't listen on {}: {} is not an address", name, endpoint.host));
  const tcp::endpoint local(address, endpoint.port);
  acceptor_.open(local.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(local, error);
  if (!error) acceptor_.listen(SOMAXCONN, error);
  if (!error) return {};
  close();
  if (error == asio::error::address_in_use)
    return fail(ErrorCode::unavailable, fmt::format("can't listen on {}: the port is taken", name));
  const bool has_no_such_address =
      error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL;
  return fail(has_no_such_address ? ErrorCode::not_found : ErrorCode::unavailable,
              fmt::format("can't listen on {}: {}", name, error.message()));
}

asio::awaitable<std::expected<AcceptedConnection, AcceptFailure>> Listener::accept() {
  while (true) {
    auto [error, socket] = co_await acceptor_.async_accept(kAsTuple);
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
      co_return std::unexpected(AcceptFailure::closed);
    if (error == asio::error::no_descriptors) co_return std::unexpected(AcceptFailure::no_descriptors);
    if (error) co_return std::unexpected(AcceptFailure::failed);
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) continue;  // the client has disconnected already
    enable_keepalive(socket.native_handle());
    auto transport = std::make_unique<Connection::Transport>(std::move(socket), &hangup_watch_);
    co_return AcceptedConnection{.connection = Connection(std::move(transport)),
                                 .peer = {.host = peer.address().to_string(), .port = peer.port()}};
  }
}

std::uint16_t Listener::port() const {
  boost::system::error_code ignored;
  return acceptor_.local_endpoint(ignored).port();
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

}  // namespace mgpu::http
