// Sees a peer hang up while nobody reads from it, whatever still lies unread in the socket: one epoll of its
// own that asks for nothing but EPOLLRDHUP. Reading to find out would swallow the next request; polling would
// cost.
//
// A peer that only closes its sending side counts as gone: HTTP has no way to tell it from one that left.
#pragma once

#include <map>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace mgpu::http {

class HangupWatch {
 public:
  explicit HangupWatch(boost::asio::io_context& io);
  ~HangupWatch();

  // True when the peer of `fd` hung up; false after forget(). Can be cancelled. One waiter an fd.
  boost::asio::awaitable<bool> wait(int fd);

  // Ends the wait for `fd`, if there is one. REQUIRES: called before an fd that may be waited for is closed,
  // since the next connection can get the same number before the waiter has woken.
  void forget(int fd);

 private:
  void listen();
  void look();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor epoll_;
  struct Waiter;
  std::map<int, Waiter*> waiters_;  // by fd; each lives in its wait()
  bool listening_ = false;
};

}  // namespace mgpu::http
