// Wakes one coroutine whenever the journal grows. What changed, the coroutine looks up itself.
#pragma once

#include <chrono>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "engine/journal.h"

namespace mgpu::api {

class Bell {
 public:
  // `journal` must outlive the bell.
  Bell(const boost::asio::any_io_executor& executor, engine::Journal& journal);
  ~Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  void ring();

  // Until the next ring, or one since the last wait, or the limit; throws when the coroutine is cancelled.
  boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point until);

 private:
  engine::Journal& journal_;
  boost::asio::steady_timer timer_;
  bool rung_ = false;
  std::uint64_t subscription_ = 0;
};

}  // namespace mgpu::api
