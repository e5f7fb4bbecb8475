// What is asked of a house: flows of work. A flow is somebody who asks for one thing after the other, each
// when the one before has ended and a pause is over: a voice dialogue, an agent. A single request is a flow
// of one step. Everything random was drawn before, so that each policy meets the same people.
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
  Duration work{};  // device time that it needs, alone
  std::optional<Priority> priority{};
};

struct Flow {
  Instant start{};
  std::uint32_t user = 0;
  std::vector<FlowStep> steps{};
};

struct Workload {
  std::vector<Flow> flows{};
  Instant horizon = kNever;  // nobody asks for anything after it
};

}  // namespace mgpu::replay
