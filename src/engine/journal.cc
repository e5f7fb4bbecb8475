#include "engine/journal.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mgpu::engine {
namespace {

// What a payload owns on the heap. Each payload that owns any has an overload: the last one refuses to
// compile for a type that might.
struct HeapBytes {
  static std::size_t bytes_of(const std::string& text) {
    static const std::size_t inline_capacity = std::string{}.capacity();  // held in the string object itself
    return text.capacity() > inline_capacity ? text.capacity() + 1 : 0;
  }
  static std::size_t bytes_of(const Error& error) { return bytes_of(error.detail); }
  static std::size_t bytes_of(const Result<void>& result) { return result ? 0 : bytes_of(result.error()); }
  template <class T>
  static std::size_t bytes_of(const std::vector<T>& list) {
    static_assert(std::is_trivially_copyable_v<T>);
    return list.capacity() * sizeof(T);
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
  std::size_t operator()(const StrayLeftAlone& e) const { return bytes_of(e.consumer); }
  std::size_t operator()(const Refuse& e) const { return bytes_of(e.error); }
  std::size_t operator()(const EndLease& e) const { return bytes_of(e.error); }
  std::size_t operator()(const Planned& e) const { return bytes_of(e.victims) + bytes_of(e.considered); }
  std::size_t operator()(const EvictionFailed& e) const { return bytes_of(e.error); }
  std::size_t operator()(const Overtook& e) const { return bytes_of(e.overtaken); }
  template <class Flat>
  std::size_t operator()(const Flat&) const {
    static_assert(std::is_trivially_copyable_v<Flat>, "what owns memory needs an overload above");
    return 0;
  }
};

// Beside its payload's heap: the shared block (object and reference counts) and its places in the two queues.
constexpr std::size_t kEntryBytes =
    sizeof(JournalEntry) + 2 * sizeof(void*) + sizeof(JournalEntryPtr) + sizeof(std::uint32_t);

std::uint32_t entry_bytes(const JournalEntry& entry) {
  const std::size_t heap_bytes = std::visit(
      [](const auto& event_or_effect) { return std::visit(HeapBytes{}, event_or_effect); }, entry.payload);
  return static_cast<std::uint32_t>(kEntryBytes + heap_bytes);
}

}  // namespace

Journal::Journal(std::size_t max_entries, Bytes max_bytes)
    : max_entries_(std::max<std::size_t>(max_entries, 1)), max_bytes_(max_bytes) {}

JournalEntryPtr Journal::append(Instant at, std::variant<EventPayload, Effect> payload) {
  JournalEntryPtr entry =
      std::make_shared<JournalEntry>(JournalEntry{.id = next_id_++, .at = at, .payload = std::move(payload)});
  entries_.push_back(entry);
  sizes_.push_back(entry_bytes(*entry));
  used_bytes_ += Bytes{sizes_.back()};
  if (!is_routine(*entry)) last_significant_id_ = entry->id;
  while (entries_.size() > 1 && (entries_.size() > max_entries_ || used_bytes_ > max_bytes_)) drop_oldest();

  // A listener may unsubscribe itself or others: each is looked up again before it is called.
  std::vector<std::uint64_t> subscriptions;
  subscriptions.reserve(listeners_.size());
  for (const auto& [subscription, listener] : listeners_) subscriptions.push_back(subscription);
  for (const std::uint64_t subscription : subscriptions) {
    const auto found = listeners_.find(subscription);
    if (found == listeners_.end()) continue;
    const auto listener = found->second;
    (*listener)(entry);
  }
  return entry;
}

void Journal::drop_oldest() {
  used_bytes_ -= Bytes{sizes_.front()};
  sizes_.pop_front();
  entries_.pop_front();
}

JournalEntries::const_iterator Journal::first_after(std::uint64_t id) const {
  if (entries_.empty() || id >= last_id()) return entries_.end();
  const std::uint64_t first = entries_.front()->id;
  return id < first ? entries_.begin() : entries_.begin() + static_cast<std::ptrdiff_t>(id - first + 1);
}

std::uint64_t Journal::subscribe(Listener listener) {
  listeners_.emplace(next_subscription_, std::make_shared<const Listener>(std::move(listener)));
  return next_subscription_++;
}

void Journal::unsubscribe(std::uint64_t subscription) { listeners_.erase(subscription); }

}  // namespace mgpu::engine
