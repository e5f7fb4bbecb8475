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
// So many events are added before it is looked again who does not keep up.
constexpr std::uint64_t kSlowCheckInterval = 256;

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
                                           " places (limits.event_subscribers) to follow events are taken",
                                 .retry_after = kRetryAfter});
  return std::make_unique<Subscriber>(*this, after, filter, std::move(abort_connection));
}

// `except` finds out by itself, and can say so to its reader.
void EventFeed::drop_slow_subscribers(const Subscriber* except) {
  last_checked_id_ = engine_.journal().last_id();
  std::vector<std::function<void()>> dropped;
  for (Subscriber* subscriber : subscribers_)
    if (subscriber != except && subscriber->has_fallen_behind() && subscriber->abort_connection_)
      dropped.push_back(std::exchange(subscriber->abort_connection_, {}));
  for (const auto& abort_connection : dropped) abort_connection();
}

const std::string& EventFeed::encoded_text(const engine::JournalEntry& entry) {
  const auto [place, fresh] = encoded_.try_emplace(entry.id);
  if (!fresh) return place->second;
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
  for (auto entry = journal.first_after(last_id_);
       entry != journal.entries().end() && chunk.size() < kChunkBytes; ++entry) {
    last_id_ = entry->id;
    if (filter_ == Waiter::Filter::all || !is_routine(*entry)) chunk += feed_.encoded_text(*entry);
  }
  return chunk;
}

bool EventFeed::Subscriber::has_fallen_behind() const {
  const engine::Journal& journal = feed_.engine_.journal();
  return !is_caught_up_ && !journal.entries().empty() && last_id_ + 1 < journal.entries().front().id;
}

// What is routine wakes only whoever wants it: the others have missed nothing up to the entry that woke them.
asio::awaitable<void> EventFeed::Subscriber::wait(std::chrono::steady_clock::time_point until) {
  is_caught_up_ = true;
  co_await waiter_.wait(until);
  is_caught_up_ = false;
  last_id_ = waiter_.woken_by() > 0 ? waiter_.woken_by() - 1 : feed_.engine_.journal().last_id();
}

}  // namespace mgpu::api
