// A condition variable for coroutines: notify_all() makes every waiter check its condition again.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/time.h"

namespace mgpu::runner {

// Thread rule: the executor's one thread.
// REQUIRES: no waiter is resumed after the object is destroyed.
class AsyncCondition {
 public:
  explicit AsyncCondition(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  void notify_all() {
    for (boost::asio::steady_timer* timer : *waiters_) timer->cancel();
  }

  // Returns when the condition holds, or with false after `limit`.
  boost::asio::awaitable<bool> wait(std::function<bool()> condition, Duration limit);

 private:
  boost::asio::any_io_executor executor_;
  // Shared with the waiters' frames, which an io_context may destroy after this object.
  std::shared_ptr<std::set<boost::asio::steady_timer*>> waiters_ =
      std::make_shared<std::set<boost::asio::steady_timer*>>();
};

}  // namespace mgpu::runner
