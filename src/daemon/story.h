// The log as a person reads it: one line for each grant, load, eviction and refusal.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "engine/journal.h"
#include "registry/registry.h"

namespace mgpu::daemon {

struct Line {
  std::string text{};
  bool warning = false;
};

// None for what is routine.
std::optional<Line> told(const engine::JournalEntry& entry, const Registry& registry);

// Says once for each device that its driver does not tell whose its bytes are. Not while something loads: a
// driver may list a process only once it computes.
class ByTotals {
 public:
  std::optional<Line> told(const engine::JournalEntry& entry, const Registry& registry);

 private:
  std::set<DeviceId> known_{};
};

}  // namespace mgpu::daemon
