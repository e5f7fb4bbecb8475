// A workload as a table that anybody can write:
//
//   time,consumer,seconds,user,priority,flow
//   0,chat,3.2,anna,interactive,
//   12.5,stt,0.8,ben,,talk1
//   0.1,chat,2.4,ben,,talk1
//
// `format_time` counts seconds from the first row's day; `seconds` is the device time that the job needs
// alone. user, priority and flow may be left out, empty or absent; columns stand in any order. Rows of one
// flow are asked one after the other, and the `format_time` of all but its first is the pause since the one
// before has ended. A consumer with several AI models is written NAME/AI_MODEL.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::replay {

// Error: invalid_request, with the number of the line.
Result<Workload> parse_csv(std::string_view text, const Machine& machine);

// The reverse: what parse_csv reads as the same workload. REQUIRES: flows are not empty.
std::string to_csv(const Workload& workload, const Machine& machine);

// Who is meant by "chat" or "ollama/llama3:8b"; the resident is the consumer's first where none is named.
struct Target {
  ConsumerId consumer{};
  std::optional<ResidentId> resident{};
};
std::optional<Target> find_target(const Machine& machine, std::string_view name);

}  // namespace mgpu::replay
