#include "api/event_feed.h"

#include <chrono>
#include <utility>
#include <vector>

#include "api/status.h"

namespace mgpu::api {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kPieceBytes = 32 * 1024;
constexpr std::chrono::seconds kTryAgainAfter{5};
// So many events are added before it is looked again who does not keep up.
constexpr std::uint64_t kLookEvery = 256;

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

Result<std::unique_ptr<EventFeed::Subscriber>> EventFeed::subscribe(std::uint64_t after, Waiter::For what,
                                                                    std::function<void()> break_off) {
  drop_who_fell_behind(nullptr);
  if (subscribers_.size() >= max_subscribers_)
    return std::unexpected(Error{.code = ErrorCode::queue_full,
                                 .detail = "all " + std::to_string(max_subscribers_) +
                                           " places (limits.event_subscribers) to follow events are taken",
                                 .retry_after = kTryAgainAfter});
  return std::make_unique<Subscriber>(*this, after, what, std::move(break_off));
}

// `except` finds out by itself, and can say so to its reader.
void EventFeed::drop_who_fell_behind(const Subscriber* except) {
  looked_at_ = engine_.journal().last_id();
  std::vector<std::function<void()>> dropped;
  for (Subscriber* subscriber : subscribers_)
    if (subscriber != except && subscriber->fell_behind() && subscriber->break_off_)
      dropped.push_back(std::exchange(subscriber->break_off_, {}));
  for (const auto& break_off : dropped) break_off();
}

const std::string& EventFeed::text_of(const engine::JournalEntry& entry) {
  const auto [place, fresh] = encoded_.try_emplace(entry.id);
  if (!fresh) return place->second;
  const Wall wall = wall_of(engine_);
  const UserShown user_shown = user_shown_by(engine_);
  place->second = server_sent_event(std::to_string(entry.id), name_of(entry.payload),
                                    dump(entry_json(entry, engine_.world().registry, wall, user_shown)));
  encoded_bytes_ += place->second.size();
  order_.push_back(entry.id);
  while (encoded_bytes_ > kEncodedKept && order_.size() > 1) {
    const auto oldest = encoded_.find(order_.front());
    encoded_bytes_ -= oldest->second.size();
    encoded_.erase(oldest);
    order_.pop_front();
  }
  return place->second;
}

EventFeed::Subscriber::Subscriber(EventFeed& feed, std::uint64_t after, Waiter::For what,
                                  std::function<void()> break_off)
    : feed_(feed),
      last_(after),
      what_(what),
      waiter_(feed.executor_, feed.notifier_, what),
      break_off_(std::move(break_off)) {
  feed_.subscribers_.insert(this);
}

EventFeed::Subscriber::~Subscriber() { feed_.subscribers_.erase(this); }

std::string EventFeed::Subscriber::next_piece() {
  const engine::Journal& journal = feed_.engine_.journal();
  if (journal.last_id() >= feed_.looked_at_ + kLookEvery) feed_.drop_who_fell_behind(this);
  std::string piece;
  for (auto entry = journal.first_after(last_);
       entry != journal.entries().end() && piece.size() < kPieceBytes; ++entry) {
    last_ = entry->id;
    if (what_ == Waiter::For::routine_too || !is_routine(*entry)) piece += feed_.text_of(*entry);
  }
  return piece;
}

bool EventFeed::Subscriber::fell_behind() const {
  const engine::Journal& journal = feed_.engine_.journal();
  return !had_everything_ && !journal.entries().empty() && last_ + 1 < journal.entries().front().id;
}

// What is routine wakes only whoever wants it: the others have missed nothing up to the entry that woke them.
asio::awaitable<void> EventFeed::Subscriber::wait(std::chrono::steady_clock::time_point until) {
  had_everything_ = true;
  co_await waiter_.wait(until);
  had_everything_ = false;
  last_ = waiter_.woken_by() > 0 ? waiter_.woken_by() - 1 : feed_.engine_.journal().last_id();
}

}  // namespace mgpu::api
