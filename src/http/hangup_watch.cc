#include "http/hangup_watch.h"

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

constexpr auto kRecheckInterval = std::chrono::milliseconds(200);
constexpr int kUnreadThreshold = 32 * 1024;  // bytes; half of the smallest usual receive window

bool has_much_unread(int fd) {
  int unread = 0;
  return ::ioctl(fd, FIONREAD, &unread) == 0 && unread >= kUnreadThreshold;
}

epoll_event epoll_interest(int fd, std::uint32_t events) {
  epoll_event interest{};
  interest.events = events | EPOLLONESHOT;
  interest.data.fd = fd;
  return interest;
}

}  // namespace

HangupWatch::HangupWatch(boost::asio::io_context& io)
    : io_(io), epoll_(io, ::epoll_create1(EPOLL_CLOEXEC)), recheck_timer_(io) {}

HangupWatch::~HangupWatch() = default;

struct HangupWatch::Waiter {
  Waiter(HangupWatch& hangup_watch, int descriptor, std::function<bool()> probe_peer)
      : watch(hangup_watch),
        fd(descriptor),
        probe(std::move(probe_peer)),
        wakeup(hangup_watch.io_, boost::asio::steady_timer::time_point::max()) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (const auto mine = watch.waiters_.find(fd); mine != watch.waiters_.end() && mine->second == this)
      watch.unwatch(fd);
  }

  HangupWatch& watch;
  int fd;
  std::function<bool()> probe;
  boost::asio::steady_timer wakeup;
  bool half_closed = false;
  bool hung_up = false;
};

boost::asio::awaitable<bool> HangupWatch::wait_for_hangup(int fd, std::function<bool()> probe) {
  MGPU_ASSERT(!waiters_.contains(fd), "one waiter a connection");
  epoll_event interest = epoll_interest(fd, EPOLLRDHUP);
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &interest) != 0)
    co_return true;  // closed already
  Waiter waiter(*this, fd, std::move(probe));
  waiters_[fd] = &waiter;
  await_events();
  schedule_recheck();
  constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);
  co_await waiter.wakeup.async_wait(quietly);
  co_return waiter.hung_up;
}

void HangupWatch::unwatch(int fd) {
  const auto waiter = waiters_.find(fd);
  if (waiter == waiters_.end()) return;
  waiter->second->wakeup.cancel();
  waiters_.erase(waiter);
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
}

void HangupWatch::await_events() {
  if (std::exchange(awaiting_events_, true)) return;
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](boost::system::error_code error) {
                      if (error) return;  // closing
                      awaiting_events_ = false;
                      read_events();
                      if (!waiters_.empty()) await_events();
                    });
}

void HangupWatch::read_events() {
  std::array<epoll_event, 64> events{};
  const int n = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (const auto waiter = waiters_.find(event.data.fd); waiter != waiters_.end())
      check_peer(*waiter->second, event.events);
  }
}

void HangupWatch::check_peer(Waiter& waiter, std::uint32_t events) {
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  PeerState peer = broken ? PeerState::gone : query_peer_state(waiter.fd);
  const bool first = !std::exchange(waiter.half_closed, true);
  if (first && peer == PeerState::unknown && !waiter.probe()) peer = PeerState::gone;
  if (peer == PeerState::gone) {
    waiter.hung_up = true;
    waiter.wakeup.cancel();
    return;
  }
  if (!first) return;
  epoll_event errors_only = epoll_interest(waiter.fd, 0);
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, waiter.fd, &errors_only);
}

void HangupWatch::schedule_recheck() {
  if (std::exchange(recheck_scheduled_, true)) return;
  recheck_timer_.expires_after(kRecheckInterval);
  recheck_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;  // closing
    recheck_scheduled_ = false;
    for (const auto& [fd, waiter] : waiters_) {
      if (waiter->hung_up) continue;
      if (waiter->half_closed)
        check_peer(*waiter, 0);
      else if (has_much_unread(fd) && query_peer_state(fd) == PeerState::gone)
        check_peer(*waiter, EPOLLHUP);
    }
    if (!waiters_.empty()) schedule_recheck();
  });
}

}  // namespace mgpu::http
