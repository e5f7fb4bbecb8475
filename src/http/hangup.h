// Sees a peer hang up while nobody reads from it, whatever still lies unread in the socket: one epoll of its
// own that asks for nothing but EPOLLRDHUP. Reading to find out would swallow the next request; polling would
// cost.
//
// A peer that only closes its sending side counts as gone: HTTP has no way to tell it from one that left.
#pragma once

#include <functional>
#include <map>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace mgpu::http {

class HangupWatch {
 public:
  explicit HangupWatch(boost::asio::io_context& io);
  ~HangupWatch();

  // Returns when the peer of `fd` hangs up, or is cancelled. One waiter an fd; fd stays open meanwhile.
  boost::asio::awaitable<void> wait(int fd);

 private:
  void listen();
  void look();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor epoll_;
  std::map<int, std::function<void()>> waiters_;  // by fd
  bool listening_ = false;
};

}  // namespace mgpu::http
