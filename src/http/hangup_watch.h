// Detects that a peer has disconnected without reading from its connection: a separate epoll instance waits
// for EPOLLRDHUP alone. Reading instead would consume bytes of the next request; polling each connection
// would cost CPU time.
//
// When the receive buffer is full, the peer's last bytes and its FIN can't arrive, and there is no event.
// Such connections are checked every 200 ms with query_peer_state(), which works for peers on this machine.
// The disconnect of a peer on another machine is detected once the buffer is read.
//
// A peer that only closed its sending side (a half-closed connection) still expects its response and counts
// as connected. For a peer on this machine the kernel provides the difference (peer_state.h), and the peer is
// checked again every 200 ms. A peer on another machine is sent a probe: if its program has ended, its kernel
// replies with a reset. (A TCP keepalive probe does not help: a kernel acknowledges it for up to a minute
// after the program has ended.)
#pragma once

#include <functional>
#include <map>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace mgpu::http {

class HangupWatch {
 public:
  explicit HangupWatch(boost::asio::io_context& io);
  ~HangupWatch();

  // True when the peer of `fd` has disconnected; false after unwatch(). Can be cancelled. One waiter per fd.
  // `probe` is called at most once, when the peer may be half closed, and sends something that the peer must
  // ignore; if it returns false, nothing can be sent, and the peer counts as disconnected.
  boost::asio::awaitable<bool> wait_for_hangup(int fd, std::function<bool()> probe);

  // Ends the wait for `fd`, if there is one. REQUIRES: called before a watched fd is closed, since the next
  // connection can get the same number before the waiter has resumed.
  void unwatch(int fd);

 private:
  struct Waiter;
  void await_events();
  void read_events();
  void check_peer(Waiter& waiter, std::uint32_t events);
  void schedule_recheck();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor epoll_;
  boost::asio::steady_timer recheck_timer_;  // for peers that cause no more events
  std::map<int, Waiter*> waiters_;           // by fd; each is a local variable of its wait_for_hangup()
  bool awaiting_events_ = false;
  bool recheck_scheduled_ = false;
};

}  // namespace mgpu::http
