// A byte stream to one peer: read, write, end the sending side, close, reset, and see that the peer has hung
// up. The socket is hidden: nothing outside connection.cc and listener.cc touches one.
//
// TLS belongs into Connection::Transport (connection.cc): the handshake at the end of connect() and of
// Listener::accept(), and a session between the socket and receive(), send(), try_send() and shutdown_send().
// Everything else here works on the socket below the session. Plaintext that the session has decrypted but
// not handed out counts as readable in receive() and in is_reusable().
//
// On the io_context's one thread. At most one receive(), one send() and one wait_until_disconnected() may be
// in flight; each can be cancelled. A connection may be moved while none is.
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

  // Waits until something can be read, and adds it to received(): the number of bytes, 0 at the end of what
  // the peer sends. No operation in flight holds a pointer into a buffer of ours, so nothing that happens to
  // the connection meanwhile can make one dangle. Error: cancelled (reset, closed; in the system's words).
  boost::asio::awaitable<Result<std::size_t>> receive();

  // What was received and not consumed yet. Valid until the next receive() or consume().
  std::string_view received() const;
  void consume(std::size_t count);

  // Sends the three in a row and returns when the kernel has taken all of them. `back` must outlive the call.
  // Error: cancelled (reset, closed; in the system's words).
  boost::asio::awaitable<Result<void>> send(std::string front, std::string piece, std::string_view back);

  // Sends without waiting; false if not all of it could be taken.
  bool try_send(std::string_view text);

  std::uint64_t bytes_sent() const;  // taken by the kernel, also of sends that failed
  bool is_refused_by_peer() const;   // a send failed because the peer had closed or reset the connection

  // True when the peer has hung up; false after stop_watching() or close(). A peer that only ended its
  // sending side has not. Reads nothing. `probe`: see HangupWatch. REQUIRES: accepted by a Listener.
  boost::asio::awaitable<bool> wait_until_disconnected(std::function<bool()> probe);
  void stop_watching();

  bool is_open() const;
  bool is_reusable() const;  // open, and nothing has come since the last message: no bytes, no end

  void shutdown_send();  // the peer sees the end of the stream, and may go on sending
  void cancel();         // what waits in receive() or send() fails; the connection stays open
  void shut_down();      // both directions end: all that waits on the connection fails, or sees it hung up
  void close();          // unread bytes make the kernel reset the connection
  void reset();          // closes so that the peer can't take it for a proper end (RST instead of FIN)

 private:
  std::unique_ptr<Transport> transport_;
};

}  // namespace mgpu::http
