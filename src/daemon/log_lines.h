// The log as a person reads it: one line for each grant, load, eviction and refusal.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "engine/journal.h"
#include "registry/registry.h"

namespace mgpu::daemon {

struct LogLine {
  std::string text{};
  bool warning = false;
};

// None for what is routine.
std::optional<LogLine> format_log_line(const engine::JournalEntry& entry, const Registry& registry);

// Says once for each device that its driver does not tell whose its bytes are. Not while something loads: a
// driver may list a process only once it computes.
class AttributionWarning {
 public:
  std::optional<LogLine> warning_if_new(const engine::JournalEntry& entry, const Registry& registry);

 private:
  std::set<DeviceId> warned_devices_{};
};

}  // namespace mgpu::daemon
