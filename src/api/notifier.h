// Wakes coroutines when the journal grows; each then looks up for itself what changed. The journal has one
// listener however many coroutines wait, and one that does not wait at the moment costs nothing.
//
// Thread: the strand.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "engine/journal.h"

namespace mgpu::api {

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
  void on_entry(const JournalEntry& entry);

  engine::Journal& journal_;
  std::uint64_t subscription_ = 0;
  std::unordered_set<Waiter*> waiting_;          // for entries that are not routine
  std::unordered_set<Waiter*> waiting_for_all_;  // for every entry
};

// Belongs to one coroutine.
class Waiter {
 public:
  enum class Filter : bool { significant, all };
  Waiter(const boost::asio::any_io_executor& executor, Notifier& notifier,
         Filter filter = Filter::significant);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Ends the present wait or sleep, or else the next one.
  void wake();

  // The id of the entry that ended the last wait; 0: `wake` or the time did.
  std::uint64_t woken_by() const { return woken_by_; }

  // Returns when an entry matches the filter, when `wake` is called, or at `until`; throws when the coroutine
  // is cancelled.
  boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point until);

  // The same, whatever the journal does.
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
