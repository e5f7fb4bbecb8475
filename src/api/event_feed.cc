#include "api/event_feed.h"

#include <chrono>
#include <utility>
#include <vector>

#include "api/status.h"

namespace mgpu::api {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kChunkBytes = 32 * 1024;
constexpr std::chrono::seconds kRetryAfter{5};
constexpr std::uint64_t kSlowCheckInterval = 256;  // journal entries between two looks for slow subscribers

}  // namespace

std::string server_sent_event(std::string_view id, std::string_view name, const std::string& data) {
  std::string text;
  if (!id.empty()) text.append("id: ").append(id).append("\n");
  return text.append("event: ").append(name).append("\ndata: ").append(data).append("\n\n");
}

EventFeed::EventFeed(asio::any_io_executor executor, engine::Engine& engine, Notifier& notifier,
                     std::uint32_t max_subscribers)
    : executor_(std::move(executor)),
      engine_(engine),
      notifier_(notifier),
      max_subscribers_(max_subscribers) {}

Result<std::unique_ptr<EventFeed::Subscriber>> EventFeed::subscribe(std::uint64_t after,
                                                                    Waiter::Filter filter,
                                                                    std::function<void()> abort_connection) {
  drop_slow_subscribers(nullptr);
  if (subscribers_.size() >= max_subscribers_)
    return std::unexpected(Error{.code = ErrorCode::queue_full,
                                 .detail = "all " + std::to_string(max_subscribers_) +
                                           " event streams (limits.event_subscribers) are in use: close one, "
                                           "or raise the limit",
                                 .retry_after = kRetryAfter});
  return std::make_unique<Subscriber>(*this, after, filter, std::move(abort_connection));
}

// `except` is being served right now: it finds out by itself, and can tell its client.
void EventFeed::drop_slow_subscribers(const Subscriber* except) {
  last_checked_id_ = engine_.journal().last_id();
  std::vector<std::function<void()>> dropped;
  for (Subscriber* subscriber : subscribers_)
    if (subscriber != except && subscriber->has_fallen_behind() && subscriber->abort_connection_)
      dropped.push_back(std::exchange(subscriber->abort_connection_, {}));
  for (const auto& abort_connection : dropped) abort_connection();
}

const std::string& EventFeed::encoded_text(const JournalEntry& entry) {
  const auto [place, is_new] = encoded_.try_emplace(entry.id);
  if (!is_new) return place->second;
  const WallClock wall = make_wall_clock(engine_);
  const UserLabels user_labels = make_user_labels(engine_);
  place->second = server_sent_event(std::to_string(entry.id), event_type(entry.payload),
                                    dump(entry_json(entry, engine_.world().registry, wall, user_labels)));
  encoded_bytes_ += place->second.size();
  encoding_order_.push_back(entry.id);
  while (encoded_bytes_ > kMaxEncodedBytes && encoding_order_.size() > 1) {
    const auto oldest = encoded_.find(encoding_order_.front());
    encoded_bytes_ -= oldest->second.size();
    encoded_.erase(oldest);
    encoding_order_.pop_front();
  }
  return place->second;
}

EventFeed::Subscriber::Subscriber(EventFeed& feed, std::uint64_t after, Waiter::Filter filter,
                                  std::function<void()> abort_connection)
    : feed_(feed),
      last_id_(after),
      filter_(filter),
      waiter_(feed.executor_, feed.notifier_, filter),
      abort_connection_(std::move(abort_connection)) {
  feed_.subscribers_.insert(this);
}

EventFeed::Subscriber::~Subscriber() { feed_.subscribers_.erase(this); }

std::string EventFeed::Subscriber::next_chunk() {
  const engine::Journal& journal = feed_.engine_.journal();
  if (journal.last_id() >= feed_.last_checked_id_ + kSlowCheckInterval) feed_.drop_slow_subscribers(this);
  std::string chunk;
  for (auto next = journal.first_after(last_id_);
       next != journal.entries().end() && chunk.size() < kChunkBytes; ++next) {
    const JournalEntry& entry = **next;
    last_id_ = entry.id;
    if (filter_ == Waiter::Filter::all || !is_routine(entry)) chunk += feed_.encoded_text(entry);
  }
  return chunk;
}

bool EventFeed::Subscriber::has_fallen_behind() const {
  const engine::Journal& journal = feed_.engine_.journal();
  return !is_caught_up_ && !journal.entries().empty() && last_id_ + 1 < journal.entries().front()->id;
}

// Routine entries do not wake a subscriber that filters them out: up to the entry that woke it, it has missed
// nothing.
asio::awaitable<void> EventFeed::Subscriber::wait(std::chrono::steady_clock::time_point until) {
  is_caught_up_ = true;
  co_await waiter_.wait(until);
  is_caught_up_ = false;
  last_id_ = waiter_.woken_by() > 0 ? waiter_.woken_by() - 1 : feed_.engine_.journal().last_id();
}

}  // namespace mgpu::api
