#include "http/hangup.h"

#include <array>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/epoll.h>

#include "base/assert.h"

namespace mgpu::http {

HangupWatch::HangupWatch(boost::asio::io_context& io) : io_(io), epoll_(io, ::epoll_create1(EPOLL_CLOEXEC)) {}

HangupWatch::~HangupWatch() = default;

struct HangupWatch::Waiter {
  Waiter(HangupWatch& w, int descriptor)
      : watch(w), fd(descriptor), woken(w.io_, boost::asio::steady_timer::time_point::max()) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (const auto mine = watch.waiters_.find(fd); mine != watch.waiters_.end() && mine->second == this)
      watch.forget(fd);
  }

  HangupWatch& watch;
  int fd;
  boost::asio::steady_timer woken;
  bool hung_up = false;
};

boost::asio::awaitable<bool> HangupWatch::wait(int fd) {
  MGPU_ASSERT(!waiters_.contains(fd), "one waiter a connection");
  epoll_event interest{};
  interest.events = EPOLLRDHUP | EPOLLONESHOT;
  interest.data.fd = fd;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &interest) != 0)
    co_return true;  // closed already
  Waiter waiter(*this, fd);
  waiters_[fd] = &waiter;
  listen();
  constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);
  co_await waiter.woken.async_wait(quietly);
  co_return waiter.hung_up;
}

void HangupWatch::forget(int fd) {
  const auto waiter = waiters_.find(fd);
  if (waiter == waiters_.end()) return;
  waiter->second->woken.cancel();
  waiters_.erase(waiter);
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
}

void HangupWatch::listen() {
  if (std::exchange(listening_, true)) return;
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](boost::system::error_code error) {
                      if (error) return;  // closing
                      listening_ = false;
                      look();
                      if (!waiters_.empty()) listen();
                    });
}

void HangupWatch::look() {
  std::array<epoll_event, 64> events{};
  const int n = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; ++i)
    if (const auto waiter = waiters_.find(events[static_cast<std::size_t>(i)].data.fd);
        waiter != waiters_.end()) {
      waiter->second->hung_up = true;
      waiter->second->woken.cancel();
    }
}

}  // namespace mgpu::http
