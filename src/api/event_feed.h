// The journal as server-sent events for all subscribers: an event is encoded once, when the first subscriber
// reads it, and its text is kept for the others within kMaxEncodedBytes.
//
// Thread: the strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>

#include "api/notifier.h"
#include "engine/engine.h"

namespace mgpu::api {

inline constexpr std::size_t kMaxEncodedBytes = 4U << 20;  // of kept text

class EventFeed {
 public:
  // `engine` and `notifier` must outlive the feed, and the feed its subscribers.
  EventFeed(boost::asio::any_io_executor executor, engine::Engine& engine, Notifier& notifier,
            std::uint32_t max_subscribers);

  class Subscriber {
   public:
    Subscriber(EventFeed& feed, std::uint64_t after, Waiter::Filter filter,
               std::function<void()> abort_connection);
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    // The next events, some tens of KiB at most; empty: it has read everything.
    std::string next_chunk();

    // Whether the journal has dropped entries that it has not read yet.
    bool has_fallen_behind() const;

    // Returns when there is more to read, or at `until`; throws when the coroutine is cancelled.
    boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point until);

   private:
    friend class EventFeed;
    EventFeed& feed_;
    std::uint64_t last_id_;  // it has read all that matches its filter, up to this one
    const Waiter::Filter filter_;
    Waiter waiter_;
    std::function<void()> abort_connection_;
    bool is_caught_up_ = false;  // what it has not read is routine, and filtered out
  };

  // Begins with the entries after `after`. `abort_connection` is called, once at most, when the subscriber
  // does not read and falls behind what the journal keeps. Error: queue_full.
  Result<std::unique_ptr<Subscriber>> subscribe(std::uint64_t after, Waiter::Filter filter,
                                                std::function<void()> abort_connection);

 private:
  const std::string& encoded_text(const JournalEntry& entry);
  void drop_slow_subscribers(const Subscriber* except);

  boost::asio::any_io_executor executor_;
  engine::Engine& engine_;
  Notifier& notifier_;
  const std::uint32_t max_subscribers_;
  std::unordered_set<Subscriber*> subscribers_;
  std::unordered_map<std::uint64_t, std::string> encoded_;  // by entry id
  std::deque<std::uint64_t> encoding_order_;                // the ids in `encoded_`, oldest text first
  std::size_t encoded_bytes_ = 0;
  std::uint64_t last_checked_id_ = 0;  // the journal's last entry when slow subscribers were last looked for
};

// An event on the wire; `id` may be empty.
std::string server_sent_event(std::string_view id, std::string_view name, const std::string& data);

}  // namespace mgpu::api
