// A workload as CSV:
//
//   time,consumer,seconds,user,priority,flow
//   0,chat,3.2,anna,interactive,
//   12.5,stt,0.8,ben,,talk1
//   0.1,chat,2.4,ben,,talk1
//
// `time` is the arrival in seconds from the start of the replay. `seconds` is the device time of the job when
// it runs alone. Columns may be in any order; user, priority and flow may be empty or missing. The rows of a
// flow run one after the other; the `time` of all but the first of them is the pause after the row before has
// ended. An AI model of a consumer that has several is written NAME/AI_MODEL.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::replay {

// Error: invalid_request, with the number of the line.
Result<Workload> parse_csv(std::string_view text, const Machine& machine);

// The inverse of parse_csv. REQUIRES: no flow is empty.
std::string to_csv(const Workload& workload, const Machine& machine);

// Resolves "chat" or "ollama/llama3:8b". Without a named AI model the resident is the consumer's first.
struct Target {
  ConsumerId consumer{};
  std::optional<ResidentId> resident{};
};
std::optional<Target> find_target(const Machine& machine, std::string_view name);

}  // namespace mgpu::replay
