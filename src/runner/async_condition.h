// Something that others wait for: whoever changes it tells, and each of them looks again.
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

// Everything on the one thread of its executor.
// REQUIRES: who waits is not resumed after it has gone.
class AsyncCondition {
 public:
  explicit AsyncCondition(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  void notify_all() {
    for (boost::asio::steady_timer* timer : *waiters_) timer->cancel();
  }

  // Until the condition holds; false where `limit_setting` passes before.
  boost::asio::awaitable<bool> wait(std::function<bool()> condition, Duration limit);

 private:
  boost::asio::any_io_executor executor_;
  // Shared with the frames of those who wait: an io_context that ends destroys them last.
  std::shared_ptr<std::set<boost::asio::steady_timer*>> waiters_ =
      std::make_shared<std::set<boost::asio::steady_timer*>>();
};

}  // namespace mgpu::runner
