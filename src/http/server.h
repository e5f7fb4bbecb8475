// The listening side: connections in, one Exchange a request, everything on the io_context's single thread.
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
#include "http/message.h"

namespace mgpu::http {

// One request on a connection, and the way to answer it. Lives as long as the handler that it was given to.
// Every await can be cancelled.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const RequestHead& head() const = 0;
  virtual const std::string& peer_address() const = 0;  // "127.0.0.1"
  virtual std::uint16_t peer_port() const = 0;          // the client's

  // Whether the connection came in over `max_connections`, on one of the few that are kept free for operators
  // of this machine: nothing may wait or compute on it.
  virtual bool is_reserved() const = 0;

  // The next piece of the body, as it came; empty at its end. One read at a time. Errors: cancelled (the
  // client is gone), invalid_request (broken framing), too_large.
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;

  // Sends the head; one whose body has a known length goes out together with the body's first piece. After a
  // 101, read and write pass the connection's raw bytes. Error: cancelled.
  virtual boost::asio::awaitable<Result<void>> send_head(ResponseHead head) = 0;

  // Sends a piece at once. REQUIRES: begun. Error: cancelled.
  virtual boost::asio::awaitable<Result<void>> write(std::string piece) = 0;

  // The answer is complete; the connection may live on. What of the request was not read is skipped, but for
  // a limit; past that the connection is closed, in a way that lets the client read its answer.
  virtual boost::asio::awaitable<void> finish() = 0;

  // The answer is not complete and never will be, and the client must see that: the connection is closed,
  // with everything that was written before, but without the end of the body's framing. Where the body has no
  // framing (HTTP/1.0) it is reset. Whatever waits on the exchange fails.
  virtual void abort() = 0;

  // Returns when the client is gone. A client that only closed its sending side is not. Reads nothing, so the
  // body and later requests stay where they are; may be awaited beside read and write, once at a time.
  virtual boost::asio::awaitable<void> wait_until_disconnected() = 0;
};

// A whole small answer: begin, write, finish. HEAD requests get no body.
boost::asio::awaitable<Result<void>> send_response(Exchange& exchange, int status, Headers headers,
                                                   std::string body);

// The rest of the body, if it stays within `limit_setting`. Errors: those of read, too_large.
boost::asio::awaitable<Result<std::string>> read_body(Exchange& exchange, Bytes limit);

struct ServerOptions {
  Endpoint listen{.host = "127.0.0.1"};  // host: an address, localhost or * (all of IPv4)
  // One more closes the connection that has been idle the longest, first one from the address with the most;
  // where none is idle, only kReservedConnections of this machine are let in, and all others are closed.
  std::uint32_t max_connections = 4096;
  std::uint32_t connections_per_address = 1024;
  Bytes max_header = kKiB * 64;  // also of a body's chunk extensions and trailers
  Bytes max_body = kGiB * 4;
  Duration idle_limit{75'000'000};  // between two requests of a connection, and for a head to arrive
  // How long the client may take to send the next piece of its body, or to take one of the answer's; after
  // that it is given up. Waiting for a turn is neither.
  Duration stall_limit{300'000'000};
  std::function<void(const std::string&)> warn{};  // a limit was reached; at most once a minute for each kind
};

inline constexpr std::uint32_t kReservedConnections = 16;

class Server {
 public:
  using Handler = std::function<boost::asio::awaitable<void>(Exchange&)>;

  // Takes the address; connections wait until start_accepting(). Errors: invalid_request (no such address),
  // not_supported (a scheme other than http), unavailable (the port is taken: says so).
  static Result<std::unique_ptr<Server>> listen(boost::asio::io_context& io, ServerOptions options,
                                                Handler handler);
  void start_accepting();  // once

  // Both.
  static Result<std::unique_ptr<Server>> start(boost::asio::io_context& io, ServerOptions options,
                                               Handler handler);
  ~Server();

  Endpoint endpoint() const;  // as it was asked for, with the port that it has
  std::uint16_t port() const;
  std::size_t connection_count() const;

  void stop_accepting();
  void close();  // ends every connection now

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the connections that it still serves
};

}  // namespace mgpu::http
