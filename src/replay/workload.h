// A workload: flows of jobs. A flow is a client that submits jobs one after the other, each after the one
// before has ended and a pause: a voice dialogue, an agent. A single request is a flow of one step. A
// workload contains no randomness, so that all policies get the same requests.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "domain/ticket.h"

namespace mgpu::replay {

struct FlowStep {
  Duration pause{};  // after the step before has ended
  ConsumerId consumer{};
  std::optional<ResidentId> resident{};
  Duration work{};  // device time if it runs alone
  std::optional<Priority> priority{};
};

struct Flow {
  Instant start{};
  std::uint32_t user = 0;
  std::vector<FlowStep> steps{};
};

struct Workload {
  std::vector<Flow> flows{};
  Instant horizon = kNever;  // no job arrives after it
};

}  // namespace mgpu::replay
