// Sees a peer hang up while nobody reads from it, whatever still lies unread in the socket: one epoll of its
// own that asks for nothing but EPOLLRDHUP. Reading to find out would swallow the next request; polling would
// cost.
//
// Where so much lies unread that the peer's last bytes, and with them its FIN, can't come in, nothing is
// heard of its leaving: a peer on this machine is then looked at now and then; one on another machine is seen
// to be gone once somebody reads.
//
// A peer that only closed its sending side (a half-closed connection) still wants its answer and is not gone.
// On this machine the kernel tells the two apart (query_peer_state.h), and the peer is looked at again now
// and then. A peer on another machine is only told apart by its reaction to data: a reset, where nobody is
// left. (A keepalive probe does not do: a kernel acknowledges it for a program that has left, for a minute.)
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

  // True when the peer of `fd` is gone; false after forget(). Can be cancelled. One waiter an fd.
  // `probe` sends a peer that may be half closed something that it can ignore, at most once; false: nothing
  // can be sent, and the peer counts as gone.
  boost::asio::awaitable<bool> wait_for_hangup(int fd, std::function<bool()> probe);

  // Ends the wait for `fd`, if there is one. REQUIRES: called before an fd that may be waited for is closed,
  // since the next connection can get the same number before the waiter has woken.
  void unwatch(int fd);

 private:
  struct Waiter;
  void await_events();
  void read_events();
  void check_peer(Waiter& waiter, std::uint32_t events);
  void schedule_recheck();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor epoll_;
  boost::asio::steady_timer recheck_timer_;  // at those of whom nothing more is heard
  std::map<int, Waiter*> waiters_;           // by fd; each lives in its wait()
  bool awaiting_events_ = false;
  bool recheck_scheduled_ = false;
};

}  // namespace mgpu::http
