#include "engine/journal.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace mgpu::engine {

namespace {

// What an entry takes beside itself, roughly.
struct HeapBytes {
  static std::size_t bytes_of(const std::string& text) { return text.size(); }
  static std::size_t bytes_of(const Error& why) { return why.detail.size(); }
  static std::size_t bytes_of(const Result<void>& result) { return result ? 0 : bytes_of(result.error()); }
  template <class T>
  static std::size_t bytes_of(const std::vector<T>& list) {
    return list.size() * sizeof(T);
  }

  std::size_t operator()(const TicketCancelled& e) const { return bytes_of(e.error); }
  std::size_t operator()(const LoadEnded& e) const { return bytes_of(e.result); }
  std::size_t operator()(const RungEnded& e) const { return bytes_of(e.result); }
  std::size_t operator()(const ReadingTaken& e) const { return bytes_of(e.reading.consumers); }
  std::size_t operator()(const ServiceLost& e) const { return bytes_of(e.error); }
  std::size_t operator()(const ResidentAdded& e) const { return bytes_of(e.ai_model); }
  std::size_t operator()(const StrayEnded& e) const {
    return bytes_of(e.consumer) + bytes_of(e.reason) + bytes_of(e.result);
  }
  std::size_t operator()(const Refuse& e) const { return bytes_of(e.error); }
  std::size_t operator()(const EndLease& e) const { return bytes_of(e.error); }
  std::size_t operator()(const Planned& e) const { return bytes_of(e.victims) + bytes_of(e.considered); }
  std::size_t operator()(const EvictionFailed& e) const { return bytes_of(e.error); }
  std::size_t operator()(const Overtook& e) const { return bytes_of(e.overtaken); }
  template <class Small>
  std::size_t operator()(const Small&) const {
    return 0;
  }
};

std::uint32_t entry_bytes(const JournalEntry& entry) {
  const std::size_t heap_bytes =
      std::visit([](const auto& either) { return std::visit(HeapBytes{}, either); }, entry.payload);
  return static_cast<std::uint32_t>(sizeof(JournalEntry) + heap_bytes);
}

}  // namespace

Journal::Journal(std::size_t max_entries, Bytes max_bytes)
    : max_entries_(std::max<std::size_t>(max_entries, 1)), max_bytes_(max_bytes) {}

void Journal::append(Instant at, std::variant<EventPayload, Effect> what) {
  entries_.push_back({.id = next_id_++, .at = at, .payload = std::move(what)});
  sizes_.push_back(entry_bytes(entries_.back()));
  used_bytes_ += Bytes{sizes_.back()};
  while (entries_.size() > 1 && (entries_.size() > max_entries_ || used_bytes_ > max_bytes_)) {
    used_bytes_ -= Bytes{sizes_.front()};
    sizes_.pop_front();
    entries_.pop_front();
  }
  if (listeners_.empty()) return;
  // A listener may unsubscribe itself or others, and may append: it gets a copy, and the list is read anew.
  const JournalEntry entry = entries_.back();
  std::vector<std::uint64_t> subscriptions;
  for (const auto& [subscription, listener] : listeners_) subscriptions.push_back(subscription);
  for (const std::uint64_t subscription : subscriptions) {
    const auto found = listeners_.find(subscription);
    if (found == listeners_.end()) continue;
    const auto listener = found->second;
    listener(entry);
  }
}

std::deque<JournalEntry>::const_iterator Journal::first_after(std::uint64_t id) const {
  if (entries_.empty() || id >= last_id()) return entries_.end();
  const std::uint64_t first = entries_.front().id;
  return id < first ? entries_.begin() : entries_.begin() + static_cast<std::ptrdiff_t>(id - first + 1);
}

std::uint64_t Journal::subscribe(std::function<void(const JournalEntry&)> listener) {
  listeners_.emplace(next_subscription_, std::move(listener));
  return next_subscription_++;
}

void Journal::unsubscribe(std::uint64_t subscription) { listeners_.erase(subscription); }

}  // namespace mgpu::engine
