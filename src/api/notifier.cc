#include "api/notifier.h"

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace mgpu::api {
namespace asio = boost::asio;

Notifier::Notifier(engine::Journal& journal) : journal_(journal) {
  subscription_ = journal_.subscribe([this](const JournalEntryPtr& entry) { on_entry(*entry); });
}

Notifier::~Notifier() { journal_.unsubscribe(subscription_); }

void Notifier::on_entry(const JournalEntry& entry) {
  const auto wake_all = [&](std::unordered_set<Waiter*>& waiting) {
    for (Waiter* waiter : std::exchange(waiting, {})) {
      waiter->woken_by_ = entry.id;
      waiter->wake();
    }
  };
  wake_all(waiting_for_all_);
  if (!is_routine(entry)) wake_all(waiting_);
}

Waiter::Waiter(const asio::any_io_executor& executor, Notifier& notifier, Filter filter)
    : notifier_(notifier), filter_(filter), timer_(executor) {}

Waiter::~Waiter() { matching_waiters().erase(this); }

std::unordered_set<Waiter*>& Waiter::matching_waiters() {
  return filter_ == Filter::significant ? notifier_.waiting_ : notifier_.waiting_for_all_;
}

void Waiter::wake() {
  woken_ = true;
  timer_.cancel();
}

asio::awaitable<void> Waiter::wait(std::chrono::steady_clock::time_point until) {
  woken_by_ = 0;
  matching_waiters().insert(this);
  co_await sleep_until(until);  // throws only when the coroutine ends, and this object with it
  matching_waiters().erase(this);
}

asio::awaitable<void> Waiter::sleep_until(std::chrono::steady_clock::time_point until) {
  if (!woken_) {
    timer_.expires_at(until);
    boost::system::error_code why;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, why));
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none)
      throw boost::system::system_error(asio::error::operation_aborted);
  }
  woken_ = false;
}

}  // namespace mgpu::api
