// replay: runs a workload on a simulated machine in virtual time, with the decisions of the daemon's `step`.
//
// The model of the shell and the services: loads and evictions take their real costs, and readings show their
// results. A reading is taken two milliseconds after its request, and every 100 ms while tickets wait.
// Concurrent jobs share the speed of their device (a split job that of its first device). Nothing fails;
// faults are simulated in tests/sim. The replay is deterministic.
#pragma once

#include <functional>

#include "sched/step.h"

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::replay {

// Makes the decisions: `step`, or a function that calls it and observes.
using StepFunction = std::function<Effects(World&, const Event&)>;

Outcome replay(const Machine& machine, const Workload& workload, const StepFunction& decide = step);

}  // namespace mgpu::replay
