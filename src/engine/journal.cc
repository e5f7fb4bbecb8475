#include "engine/journal.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace mgpu::engine {

Journal::Journal(std::size_t kept) : kept_(std::max<std::size_t>(kept, 1)) {}

void Journal::append(Instant at, std::variant<Happening, Effect> what) {
  entries_.push_back({.id = next_id_++, .at = at, .what = std::move(what)});
  if (entries_.size() > kept_) entries_.pop_front();
  if (listeners_.empty()) return;
  // A listener may unsubscribe itself or others, and may append: it gets a copy, and the list is read anew.
  const Entry entry = entries_.back();
  std::vector<std::uint64_t> subscriptions;
  for (const auto& [subscription, listener] : listeners_) subscriptions.push_back(subscription);
  for (const std::uint64_t subscription : subscriptions) {
    const auto found = listeners_.find(subscription);
    if (found == listeners_.end()) continue;
    const auto listener = found->second;
    listener(entry);
  }
}

std::deque<Entry>::const_iterator Journal::after(std::uint64_t id) const {
  if (entries_.empty() || id >= last_id()) return entries_.end();
  const std::uint64_t first = entries_.front().id;
  return id < first ? entries_.begin() : entries_.begin() + static_cast<std::ptrdiff_t>(id - first + 1);
}

std::uint64_t Journal::subscribe(std::function<void(const Entry&)> listener) {
  listeners_.emplace(next_subscription_, std::move(listener));
  return next_subscription_++;
}

void Journal::unsubscribe(std::uint64_t subscription) { listeners_.erase(subscription); }

}  // namespace mgpu::engine
