// An entry of the journal: an event that the core processed, or an effect that it returned.
//
// An entry is written once and then shared: the journal, its subscribers and explanations hold the same
// object, which lives as long as any of them. Nothing copies a payload; some hold every candidate of an
// eviction plan.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <variant>

#include "base/time.h"
#include "domain/effect.h"
#include "domain/event.h"

namespace mgpu {

struct JournalEntry {
  std::uint64_t id = 0;  // from 1, without gaps
  Instant at{};
  std::variant<EventPayload, Effect> payload{};
};

using JournalEntryPtr = std::shared_ptr<const JournalEntry>;  // never null
using JournalEntries = std::deque<JournalEntryPtr>;           // by ascending id

// Readings, ticks and the requests for readings: they come all the time and change no ticket, lease or
// resident by themselves. What the core decides because of one is an entry of its own.
inline bool is_routine(const JournalEntry& entry) {
  if (const auto* event = std::get_if<EventPayload>(&entry.payload))
    return std::holds_alternative<ReadingTaken>(*event) || std::holds_alternative<Tick>(*event);
  return std::holds_alternative<TakeReading>(std::get<Effect>(entry.payload));
}

}  // namespace mgpu
