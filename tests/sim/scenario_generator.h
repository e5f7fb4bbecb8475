// Random scenarios for property tests: the first events of a simulation, with all its faults.
#pragma once

#include "scenario.h"

namespace mgpu::sim {

using ScenarioPrefix = Scenario;

// Draws a scenario with rapidcheck, which shrinks the number of events. Throws if the core violates an
// invariant during the simulation.
ScenarioPrefix draw_scenario();

}  // namespace mgpu::sim
