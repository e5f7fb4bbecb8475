#include "runner/changes.h"

#include <chrono>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

using Timers = std::set<asio::steady_timer*>;

// On the list as long as its frame lives, also where that is never resumed.
class Listed {
 public:
  Listed(std::shared_ptr<Timers> list, asio::steady_timer& timer) : list_(std::move(list)), timer_(timer) {
    list_->insert(&timer_);
  }
  ~Listed() { list_->erase(&timer_); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  std::shared_ptr<Timers> list_;
  asio::steady_timer& timer_;
};

}  // namespace

asio::awaitable<bool> Changes::wait(std::function<bool()> condition, Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  asio::steady_timer timer(executor_);
  const Listed listed(waiting_, timer);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) co_return false;
    timer.expires_at(deadline);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return true;
}

}  // namespace mgpu::runner
