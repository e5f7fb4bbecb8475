// An entry of the journal: an event that the core processed, or an effect that it returned.
#pragma once

#include <cstdint>
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

}  // namespace mgpu
