// Runs a file-system call that may hang in a thread of its own; the coroutine waits for a limited time, the
// strand does not wait at all. For calls that need an answer at once, see TimedCalls.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/time.h"

namespace mgpu::engine {

// Returns the result of `work`; none if it takes longer than `limit`, or if no thread can be started. `work`
// must own all that it accesses, since it may outlive everything else.
template <class T>
boost::asio::awaitable<std::optional<T>> call_in_thread(std::function<T()> work, Duration limit) {
  namespace asio = boost::asio;
  // Shared with the thread, which posts to the executor only while the coroutine exists.
  struct Call {
    std::mutex mutex{};
    std::optional<T> result{};
    asio::steady_timer* awaited_on = nullptr;  // null: no more
  };
  struct EndOfWait {
    std::shared_ptr<Call> call;
    ~EndOfWait() {
      const std::lock_guard lock(call->mutex);
      call->awaited_on = nullptr;
    }
  };
  const auto executor = co_await asio::this_coro::executor;
  const auto call = std::make_shared<Call>();
  asio::steady_timer timer(executor, limit);
  call->awaited_on = &timer;
  const EndOfWait end_of_wait{call};
  const auto wake_up = [call] {
    if (call->awaited_on != nullptr) call->awaited_on->cancel();  // on the strand, where it is set to null
  };
  try {
    std::thread([call, wake_up, executor, work = std::move(work)] {
      T result = work();
      const std::lock_guard lock(call->mutex);
      if (call->awaited_on == nullptr) return;
      call->result = std::move(result);
      asio::post(executor, wake_up);
    }).detach();
  } catch (const std::system_error&) {
    co_return std::nullopt;
  }
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  const std::lock_guard lock(call->mutex);
  co_return std::move(call->result);
}

}  // namespace mgpu::engine
