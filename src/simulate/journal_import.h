// What a daemon left behind: its journal, and what `mgpu status --json` printed. Both are read leniently,
// because they may be of another version: what they don't say is left as it is.
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

// A journal has one JSON object a line, or the server-sent events of /v1/events. Whether it looks like one.
bool is_journal(std::string_view text);

// Error: invalid_request, with the number of the line.
Result<std::vector<RecordedEvent>> parse_journal(std::string_view text);

// What the journal tells about the house: AI models that came up later, sizes of devices, what loads and
// evictions took. Returns how many residents have a load that was seen.
std::size_t learn_from(replay::Machine& machine, const std::vector<RecordedEvent>& journal);

// The same from what `mgpu status --json` printed.
std::size_t learn_from(replay::Machine& machine, const nlohmann::json& status);

struct RecordedWorkload {
  replay::Workload workload{};
  std::size_t skipped_tickets =
      0;  // tickets that never ran, or that belong to no consumer of the configuration
};

// Who came, and how long they held their lease. Each comes at the time of then, whatever is different now.
RecordedWorkload extract_workload(const replay::Machine& machine, const std::vector<RecordedEvent>& journal);

}  // namespace mgpu::simulate
