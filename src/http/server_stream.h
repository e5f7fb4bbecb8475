// An accepted connection with its deadlines and the state of its client: disconnected, idle, or too slow.
// Deadlines are only recorded here; the server checks all of them periodically (enforce_deadlines), which
// avoids a timer for each read and write.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "http/head_parser.h"
#include "http/listener.h"
#include "http/server.h"

namespace mgpu::http {

// A connection that came in over max_connections, for operators of this machine.
enum class ConnectionClass : std::uint8_t { ordinary, reserved };

Error client_closed_error();

class ServerStream {
 public:
  using Clock = std::chrono::steady_clock;

  // `options` must outlive it.
  ServerStream(AcceptedConnection accepted, ConnectionClass connection_class, const ServerOptions& options);

  const ServerOptions& options() const { return options_; }
  const PeerAddress& peer() const { return peer_; }
  bool is_reserved() const { return class_ == ConnectionClass::reserved; }
  bool is_open() const { return connection_.is_open(); }
  bool is_client_gone() const { return client_gone_; }

  // Since when the connection is idle or its next head is incomplete. None while a request is served.
  std::optional<Clock::time_point> idle_since() const { return idle_since_; }

  // Waits for the next request, up to idle_limit. Errors: cancelled (the client disconnected before its head
  // was complete), those of the parser, too_large.
  boost::asio::awaitable<Result<ParsedRequest>> receive_request_head();

  // Waits until more of the body is in received(), up to stall_limit. Errors: cancelled (the client has
  // closed the connection, or its sending side), request_timeout.
  boost::asio::awaitable<Result<void>> receive_body();

  // After a 101: what has arrived; empty at the end. Error: cancelled.
  boost::asio::awaitable<Result<std::string>> receive_raw();

  std::string_view received() const { return connection_.received(); }
  void consume(std::size_t count) { connection_.consume(count); }

  // Sends within stall_limit. Error: cancelled.
  boost::asio::awaitable<Result<void>> send(std::string all);
  boost::asio::awaitable<Result<void>> send(std::string front, std::string piece, std::string_view back);
  bool try_send(std::string_view text) { return connection_.try_send(text); }

  // Lets the client read the last response before the connection is closed: a close with unread bytes would
  // reset the connection, and discard the response. `expected`: what the client has announced to send still.
  boost::asio::awaitable<void> linger(std::uint64_t expected);

  // Returns when the client has disconnected, or after cancel_all(). `probe`: see HangupWatch.
  boost::asio::awaitable<void> wait_until_disconnected(std::function<bool()> probe);

  void enforce_deadlines(Clock::time_point now);
  void cancel_all();  // pending operations fail; the connection stays open
  void shut_down();   // the client counts as disconnected, and pending operations fail
  void reset();
  void close() { connection_.close(); }

 private:
  Connection connection_;
  PeerAddress peer_;
  ConnectionClass class_;
  const ServerOptions& options_;
  std::optional<Clock::time_point> idle_since_{};
  Clock::time_point read_deadline_;
  Clock::time_point write_deadline_;
  bool awaiting_body_ = false;
  bool body_timed_out_ = false;
  bool lingering_ = false;
  bool client_gone_ = false;
};

}  // namespace mgpu::http
