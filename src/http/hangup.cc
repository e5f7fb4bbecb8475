#include "http/hangup.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "base/assert.h"
#include "http/peer_state.h"

namespace mgpu::http {
namespace {

constexpr auto kLookPause = std::chrono::milliseconds(200);
constexpr int kMuchUnread = 32 * 1024;  // bytes; the smallest receive window that is usual is twice that

bool much_lies_unread(int fd) {
  int unread = 0;
  return ::ioctl(fd, FIONREAD, &unread) == 0 && unread >= kMuchUnread;
}

epoll_event interest_in(int fd, std::uint32_t events) {
  epoll_event interest{};
  interest.events = events | EPOLLONESHOT;
  interest.data.fd = fd;
  return interest;
}

}  // namespace

HangupWatch::HangupWatch(boost::asio::io_context& io)
    : io_(io), epoll_(io, ::epoll_create1(EPOLL_CLOEXEC)), next_look_(io) {}

HangupWatch::~HangupWatch() = default;

struct HangupWatch::Waiter {
  Waiter(HangupWatch& w, int descriptor, std::function<bool()> how)
      : watch(w),
        fd(descriptor),
        provoke(std::move(how)),
        woken(w.io_, boost::asio::steady_timer::time_point::max()) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (const auto mine = watch.waiters_.find(fd); mine != watch.waiters_.end() && mine->second == this)
      watch.forget(fd);
  }

  HangupWatch& watch;
  int fd;
  std::function<bool()> provoke;
  boost::asio::steady_timer woken;
  bool half_closed = false;
  bool hung_up = false;
};

boost::asio::awaitable<bool> HangupWatch::wait(int fd, std::function<bool()> provoke) {
  MGPU_ASSERT(!waiters_.contains(fd), "one waiter a connection");
  epoll_event interest = interest_in(fd, EPOLLRDHUP);
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &interest) != 0)
    co_return true;  // closed already
  Waiter waiter(*this, fd, std::move(provoke));
  waiters_[fd] = &waiter;
  listen();
  look_again_later();
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
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (const auto waiter = waiters_.find(event.data.fd); waiter != waiters_.end())
      look_at(*waiter->second, event.events);
  }
}

void HangupWatch::look_at(Waiter& waiter, std::uint32_t events) {
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  PeerState peer = broken ? PeerState::gone : peer_state(waiter.fd);
  const bool first = !std::exchange(waiter.half_closed, true);
  if (first && peer == PeerState::unknown && !waiter.provoke()) peer = PeerState::gone;
  if (peer == PeerState::gone) {
    waiter.hung_up = true;
    waiter.woken.cancel();
    return;
  }
  if (!first) return;
  epoll_event errors_only = interest_in(waiter.fd, 0);
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, waiter.fd, &errors_only);
}

void HangupWatch::look_again_later() {
  if (std::exchange(looks_again_, true)) return;
  next_look_.expires_after(kLookPause);
  next_look_.async_wait([this](boost::system::error_code error) {
    if (error) return;  // closing
    looks_again_ = false;
    for (const auto& [fd, waiter] : waiters_) {
      if (waiter->hung_up) continue;
      if (waiter->half_closed)
        look_at(*waiter, 0);
      else if (much_lies_unread(fd) && peer_state(fd) == PeerState::gone)
        look_at(*waiter, EPOLLHUP);
    }
    if (!waiters_.empty()) look_again_later();
  });
}

}  // namespace mgpu::http
