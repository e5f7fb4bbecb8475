// The journal as text for all who follow it: each event is encoded once, when the first of them wants it, and
// kept while it is likely that others will.
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

inline constexpr std::size_t kMaxEncodedBytes = 4U << 20;  // bytes of text

class EventFeed {
 public:
  // `engine` must outlive the feed, and the feed its subscribers.
  EventFeed(boost::asio::any_io_executor executor, engine::Engine& engine, Notifier& notifier,
            std::uint32_t max_subscribers);

  class Subscriber {
   public:
    Subscriber(EventFeed& feed, std::uint64_t after, Waiter::Filter filter,
               std::function<void()> abort_connection);
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    // Up to a piece of what it has not had yet; empty: it had everything.
    std::string next_chunk();

    // Whether the journal has forgotten what it has not had yet.
    bool has_fallen_behind() const;

    // Until there is more, or the limit passes; throws when the coroutine is cancelled.
    boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point until);

   private:
    friend class EventFeed;
    EventFeed& feed_;
    std::uint64_t last_id_;  // the id up to which it had everything
    const Waiter::Filter filter_;
    Waiter waiter_;
    std::function<void()> abort_connection_;
    bool is_caught_up_ = false;  // but for what is routine
  };

  // What follows `after`. `break_off` ends its connection: called when it does not read and falls behind what
  // the journal keeps. Error: queue_full.
  Result<std::unique_ptr<Subscriber>> subscribe(std::uint64_t after, Waiter::Filter filter,
                                                std::function<void()> abort_connection);

 private:
  const std::string& encoded_text(const engine::JournalEntry& entry);
  void drop_slow_subscribers(const Subscriber* except);

  boost::asio::any_io_executor executor_;
  engine::Engine& engine_;
  Notifier& notifier_;
  const std::uint32_t max_subscribers_;
  std::unordered_set<Subscriber*> subscribers_;
  std::unordered_map<std::uint64_t, std::string> encoded_;  // by id
  std::deque<std::uint64_t> encoding_order_;                // in which they were encoded
  std::size_t encoded_bytes_ = 0;
  std::uint64_t last_checked_id_ = 0;  // the id when last looked for who fell behind
};

// An event on the wire; `id` may be empty.
std::string server_sent_event(std::string_view id, std::string_view name, const std::string& data);

}  // namespace mgpu::api
