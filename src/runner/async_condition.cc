#include "runner/async_condition.h"

#include <chrono>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

using Timers = std::set<asio::steady_timer*>;

// Keeps the timer in the set as long as the waiter's frame exists, also if the frame is never resumed.
class WaiterRegistration {
 public:
  WaiterRegistration(std::shared_ptr<Timers> waiters, asio::steady_timer& timer)
      : waiters_(std::move(waiters)), timer_(timer) {
    waiters_->insert(&timer_);
  }
  ~WaiterRegistration() { waiters_->erase(&timer_); }
  WaiterRegistration(const WaiterRegistration&) = delete;
  WaiterRegistration& operator=(const WaiterRegistration&) = delete;

 private:
  std::shared_ptr<Timers> waiters_;
  asio::steady_timer& timer_;
};

}  // namespace

asio::awaitable<bool> AsyncCondition::wait(std::function<bool()> condition, Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  asio::steady_timer timer(executor_);
  const WaiterRegistration registration(waiters_, timer);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) co_return false;
    timer.expires_at(deadline);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return true;
}

}  // namespace mgpu::runner
