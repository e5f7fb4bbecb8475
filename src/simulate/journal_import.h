// Imports a daemon's journal and the output of `mgpu status --json`. Both may be from another version of
// mgpu, so missing fields are accepted and leave the machine unchanged.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "base/time.h"

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::simulate {

struct RecordedEvent {
  Instant at{};  // microseconds since 1970
  std::string type{};
  nlohmann::json fields{};
};

// Whether the text looks like a journal: one JSON object per line, or the server-sent events of /v1/events.
bool is_journal(std::string_view text);

// Error: invalid_request; the detail has the line number.
Result<std::vector<RecordedEvent>> parse_journal(std::string_view text);

// Adds to the machine what the journal contains: AI models added at run time, sizes of devices, durations of
// loads and evictions. Returns the number of residents with a measured load.
std::size_t learn_from(replay::Machine& machine, const std::vector<RecordedEvent>& journal);

// The same from the output of `mgpu status --json`.
std::size_t learn_from(replay::Machine& machine, const nlohmann::json& status);

struct RecordedWorkload {
  replay::Workload workload{};
  // Tickets that never ran, or that belong to no consumer of the configuration
  std::size_t skipped_tickets = 0;
};

// The jobs in the journal, with their recorded arrival times and lease durations.
RecordedWorkload extract_workload(const replay::Machine& machine, const std::vector<RecordedEvent>& journal);

}  // namespace mgpu::simulate
