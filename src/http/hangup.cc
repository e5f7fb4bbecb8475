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

boost::asio::awaitable<void> HangupWatch::wait(int fd) {
  boost::asio::steady_timer hung_up(io_, boost::asio::steady_timer::time_point::max());
  epoll_event interest{};
  interest.events = EPOLLRDHUP | EPOLLONESHOT;
  interest.data.fd = fd;
  MGPU_ASSERT(!waiters_.contains(fd), "one waiter a connection");
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &interest) != 0) co_return;  // closed already
  waiters_[fd] = [&hung_up] { hung_up.cancel(); };
  struct Leave {
    HangupWatch& watch;
    int fd;
    ~Leave() {
      watch.waiters_.erase(fd);
      ::epoll_ctl(watch.epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
    }
  } leave{*this, fd};
  listen();
  constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);
  co_await hung_up.async_wait(quietly);
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
        waiter != waiters_.end())
      waiter->second();
}

}  // namespace mgpu::http
