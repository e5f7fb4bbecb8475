// Wakes coroutines when the journal grows. What changed, a coroutine looks up itself. However many there are,
// the journal tells one listener; who does not wait costs nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "engine/journal.h"

namespace mgpu::api {

// What happens all the time and says little: readings, ticks.
bool is_routine(const engine::JournalEntry& entry);

class Waiter;

class Notifier {
 public:
  // `journal` must outlive the notifier, and the notifier its waiters.
  explicit Notifier(engine::Journal& journal);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

 private:
  friend class Waiter;
  void on_entry(const engine::JournalEntry& entry);

  engine::Journal& journal_;
  std::uint64_t subscription_ = 0;
  std::unordered_set<Waiter*> waiting_;          // for what is not routine,
  std::unordered_set<Waiter*> waiting_for_all_;  // and for everything
};

// One coroutine's.
class Waiter {
 public:
  enum class Filter : bool { significant, all };
  Waiter(const boost::asio::any_io_executor& executor, Notifier& notifier,
         Filter filter = Filter::significant);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Ends the present wait or pause, or the next one.
  void wake();

  // The entry that ended the last wait; 0: another thing did.
  std::uint64_t woken_by() const { return woken_by_; }

  // Until the journal grows, wake_tags() is called, or the limit passes; throws when the coroutine is
  // cancelled.
  boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point until);

  // The same, deaf to the journal.
  boost::asio::awaitable<void> sleep_until(std::chrono::steady_clock::time_point until);

 private:
  friend class Notifier;
  std::unordered_set<Waiter*>& matching_waiters();

  Notifier& notifier_;
  const Filter filter_;
  boost::asio::steady_timer timer_;
  bool woken_ = false;
  std::uint64_t woken_by_ = 0;
};

}  // namespace mgpu::api
