// The journal: every event that the core was told and every effect it answered with, numbered, in order,
// bounded. Status, /v1/events, metrics and explanations are folded from it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <variant>

#include "base/bytes.h"
#include "domain/journal_entry.h"

namespace mgpu::engine {

using mgpu::JournalEntry;

class Journal {
 public:
  // Keeps the last `kept` entries, or fewer where they would take more than `memory`; always the last one.
  explicit Journal(std::size_t max_entries, Bytes max_bytes = kMiB * 64);

  void append(Instant at, std::variant<EventPayload, Effect> what);

  // The entries with id > `after` that are still kept, oldest first.
  std::deque<JournalEntry>::const_iterator first_after(std::uint64_t id) const;
  const std::deque<JournalEntry>& entries() const { return entries_; }
  std::uint64_t last_id() const { return next_id_ - 1; }

  // `listener` hears each new entry at once, on the strand, until unsubscribed with the returned number.
  std::uint64_t subscribe(std::function<void(const JournalEntry&)> listener);
  void unsubscribe(std::uint64_t subscription);

 private:
  std::size_t max_entries_;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_subscription_ = 1;
  Bytes max_bytes_;
  Bytes used_bytes_{};
  std::deque<JournalEntry> entries_;
  std::deque<std::uint32_t> sizes_;  // of the entries
  std::map<std::uint64_t, std::function<void(const JournalEntry&)>> listeners_;
};

}  // namespace mgpu::engine
