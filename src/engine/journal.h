// The journal: every event that the core processed and every effect that it returned, numbered, in
// order, bounded in entries and in bytes. Status, /v1/events and explanations are folded from it.
//
// Thread: the strand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <variant>

#include "base/bytes.h"
#include "domain/journal_entry.h"

namespace mgpu::engine {

using mgpu::JournalEntry;

class Journal {
 public:
  // Called with each new entry during `append`. It may keep the entry, subscribe, unsubscribe and append.
  using Listener = std::function<void(const JournalEntryPtr&)>;

  // Keeps the last `max_entries` entries, or fewer where they would take more than `max_bytes`; always the
  // last one.
  explicit Journal(std::size_t max_entries, Bytes max_bytes = kMiB * 64);

  // Takes the payload over. The returned entry stays valid when the journal drops it.
  JournalEntryPtr append(Instant at, std::variant<EventPayload, Effect> payload);

  // The first kept entry with a larger id; the end where there is none.
  JournalEntries::const_iterator first_after(std::uint64_t id) const;
  const JournalEntries& entries() const { return entries_; }
  std::uint64_t last_id() const { return next_id_ - 1; }                      // 0: nothing happened yet
  std::uint64_t last_significant_id() const { return last_significant_id_; }  // of the last not routine one

  // What the kept entries take, with all that they own on the heap. An entry that a listener keeps longer is
  // counted no more once the journal has dropped it.
  Bytes used_bytes() const { return used_bytes_; }

  // Returns the subscription's number, for `unsubscribe`.
  std::uint64_t subscribe(Listener listener);
  void unsubscribe(std::uint64_t subscription);

 private:
  void drop_oldest();

  std::size_t max_entries_;
  std::uint64_t next_id_ = 1;
  std::uint64_t last_significant_id_ = 0;
  std::uint64_t next_subscription_ = 1;
  Bytes max_bytes_;
  Bytes used_bytes_{};
  JournalEntries entries_;
  std::deque<std::uint32_t> sizes_;  // of the entries, in bytes
  // Shared, since a listener that unsubscribes itself must live until it returns.
  std::map<std::uint64_t, std::shared_ptr<const Listener>> listeners_;
};

}  // namespace mgpu::engine
