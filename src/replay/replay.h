// A workload lived through in a house, decided by the same `step` that a daemon calls, in virtual time.
//
// What the shell and the world outside do is modelled: a load takes its true seconds and then shows in the
// readings; an eviction answers after its own; a reading comes two milliseconds after it was asked for, and
// soon after somebody came or a job ended if anybody waits then; jobs that compute at once share the device's
// speed (one that is split, that of its first device). Nothing fails here: that is the simulator's trade
// (tests/sim). Deterministic.
#pragma once

#include <functional>

#include "sched/step.h"

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::replay {

// Who decides: `step`, or somebody who calls it and looks on.
using StepFunction = std::function<Effects(World&, const Event&)>;

Outcome replay(const Machine& machine, const Workload& workload, const StepFunction& decide = step);

}  // namespace mgpu::replay
