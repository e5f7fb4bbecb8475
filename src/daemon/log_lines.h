// The daemon's log: one line for each grant, refusal, load, eviction and lost service in the journal.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "engine/engine.h"
#include "registry/registry.h"

namespace mgpu::daemon {

struct LogLine {
  std::string text{};
  bool warning = false;
};

// None for entries that are not logged.
std::optional<LogLine> format_log_line(const JournalEntry& entry, const Registry& registry);

// Warns once for each device whose driver does not report memory per process. Not while a resident loads:
// some drivers list a process only once it computes.
class AttributionWarning {
 public:
  std::optional<LogLine> warning_if_new(const JournalEntry& entry, const Registry& registry);

 private:
  std::set<DeviceId> warned_devices_{};
};

// Logs the engine's journal as long as it lives. REQUIRES: the engine outlives it.
class JournalLogger {
 public:
  explicit JournalLogger(engine::Engine& engine);
  ~JournalLogger();
  JournalLogger(const JournalLogger&) = delete;
  JournalLogger& operator=(const JournalLogger&) = delete;

 private:
  void log(const JournalEntry& entry);

  engine::Engine& engine_;
  AttributionWarning attribution_warning_;
  std::uint64_t subscription_;
};

}  // namespace mgpu::daemon
