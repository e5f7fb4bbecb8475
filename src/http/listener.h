// Takes an address and accepts connections on it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.h"
#include "http/connection.h"
#include "http/endpoint.h"
#include "http/hangup_watch.h"

namespace mgpu::http {

struct PeerAddress {
  std::string host{};  // "127.0.0.1"
  std::uint16_t port = 0;
};

struct AcceptedConnection {
  Connection connection;
  PeerAddress peer{};
};

enum class AcceptFailure : std::uint8_t {
  closed,          // close() was called
  no_descriptors,  // the process has reached its limit of open files
  failed,          // temporary failure (no memory, ...)
};

// The addresses to listen on: of "localhost" both loopback addresses, else the endpoint itself.
std::vector<Endpoint> listen_endpoints(const Endpoint& endpoint);

class Listener {
 public:
  explicit Listener(boost::asio::io_context& io) : acceptor_(io), hangup_watch_(io) {}

  // From here on the kernel queues connections. Errors: invalid_request (not an address), not_supported (a
  // scheme other than http), not_found (this host has no such address), unavailable (the port is taken, ...).
  Result<void> open(const Endpoint& endpoint);

  // The next connection. The listener must outlive it. One call at a time.
  boost::asio::awaitable<std::expected<AcceptedConnection, AcceptFailure>> accept();

  bool is_open() const { return acceptor_.is_open(); }
  std::uint16_t port() const;  // the actual port if port 0 was requested
  void close();                // accepted connections stay open

 private:
  boost::asio::ip::tcp::acceptor acceptor_;
  HangupWatch hangup_watch_;  // of all accepted connections
};

}  // namespace mgpu::http
