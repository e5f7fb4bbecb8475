// The server: accepts connections and calls a handler with each request's Exchange. Thread rule: the
// io_context's one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "http/endpoint.h"
#include "http/exchange.h"

namespace mgpu::http {

struct ServerOptions {
  Endpoint listen{.host = "127.0.0.1"};  // host: an address, localhost (both) or * (all of IPv4)
  // Beyond this number, the connection that has been idle the longest is closed, of the address with the most
  // connections. If none is idle, up to kReservedConnections from this machine are accepted
  // (Exchange::is_reserved), and all others are closed.
  std::uint32_t max_connections = 4096;
  std::uint32_t connections_per_address = 1024;
  Bytes max_header = kKiB * 64;  // also of a body's chunk extensions and trailers
  Bytes max_body = kGiB * 4;
  Duration idle_limit{75'000'000};  // between two requests of a connection, and for a head to arrive
  // How long a client may take to send the next piece of its body, or to receive one of the response's. After
  // that its request ends. While the handler waits for something else, no limit applies.
  Duration stall_limit{300'000'000};
  std::function<void(const std::string&)> warn{};  // a limit was reached; at most once a minute for each kind
};

inline constexpr std::uint32_t kReservedConnections = 16;

class Server {
 public:
  using Handler = std::function<boost::asio::awaitable<void>(Exchange&)>;

  // Binds the address; connections wait until start_accepting(). Errors: invalid_request (no such address),
  // not_supported (a scheme other than http), unavailable (the port is in use).
  static Result<std::unique_ptr<Server>> listen(boost::asio::io_context& io, ServerOptions options,
                                                Handler handler);
  void start_accepting();  // once

  // listen() and start_accepting().
  static Result<std::unique_ptr<Server>> start(boost::asio::io_context& io, ServerOptions options,
                                               Handler handler);
  ~Server();

  Endpoint endpoint() const;  // as configured, with the actual port
  std::uint16_t port() const;
  std::size_t connection_count() const;

  void stop_accepting();
  void close();  // stops accepting, and closes every connection at once

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the connections that are still being served
};

}  // namespace mgpu::http
