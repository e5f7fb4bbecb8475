// A byte stream to one peer: receive, send, end the sending side, close, reset, and detect a disconnect. The
// socket is hidden: only connection.cc and listener.cc use it.
//
// TLS belongs in Connection::Transport (connection.cc): the handshake at the end of connect() and of
// Listener::accept(), and a session between the socket and receive(), send(), try_send() and shutdown_send().
// Everything else here works on the socket below the session. Plaintext that the session has decrypted but
// not returned yet counts as readable in receive() and in is_reusable().
//
// Thread rule: the io_context's one thread. At most one receive(), one send() and one
// wait_until_disconnected() may be in flight; each can be cancelled. A connection may be moved while none is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "base/time.h"
#include "http/endpoint.h"

namespace mgpu::http {

class Connection {
 public:
  struct Transport;
  explicit Connection(std::unique_ptr<Transport> transport);  // for connection.cc and listener.cc
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();  // closes

  // Tries all addresses of the endpoint's host. Errors: service_down (refused, no such name or socket, longer
  // than `limit`), not_supported (https).
  static boost::asio::awaitable<Result<Connection>> connect(boost::asio::any_io_executor executor,
                                                            Endpoint endpoint, Duration limit);

  // Waits until data can be read, and appends it to received(). Returns the number of bytes, 0 at the end of
  // the stream. No pending operation holds a pointer into the receive buffer, so closing the connection can't
  // leave one dangling. Error: cancelled (reset, closed; with the system's text).
  boost::asio::awaitable<Result<std::size_t>> receive();

  // What was received and not consumed yet. Valid until the next receive() or consume().
  std::string_view received() const;
  void consume(std::size_t count);

  // Sends the three buffers in order and returns when the kernel has accepted all of them. `back` must
  // outlive the call. Error: cancelled (reset, closed; with the system's text).
  boost::asio::awaitable<Result<void>> send(std::string front, std::string piece, std::string_view back);

  // Sends without waiting; false if the kernel did not accept all of it.
  bool try_send(std::string_view text);

  std::uint64_t bytes_sent() const;  // accepted by the kernel, also by sends that failed
  bool is_refused_by_peer() const;   // a send failed because the peer had closed or reset the connection

  // True when the peer has disconnected; false after stop_watching() or close(). Closing only its sending
  // side does not count. Reads nothing. `probe`: see HangupWatch. REQUIRES: accepted by a Listener.
  boost::asio::awaitable<bool> wait_until_disconnected(std::function<bool()> probe);
  void stop_watching();

  bool is_open() const;
  bool is_reusable() const;  // open, and nothing was received since the last message: no bytes, no end

  void shutdown_send();  // ends the sending side; the peer may still send
  void cancel();         // pending receive() and send() fail; the connection stays open
  void shut_down();      // ends both directions: pending operations fail or return the end
  void close();          // unread bytes make the kernel reset the connection
  void reset();          // closes with RST instead of FIN, so that the peer sees an error and not an end

 private:
  std::unique_ptr<Transport> transport_;
};

}  // namespace mgpu::http
