// What the core was told in a life of the simulator, with everything that went wrong in it, up to some
// moment.
#pragma once

#include "scenario.h"

namespace mgpu::sim {

using ScenarioPrefix = Scenario;

// Drawn by rapidcheck, which looks for the shortest that shows what is wrong. A promise of the core that
// breaks meanwhile is thrown.
ScenarioPrefix draw_scenario();

}  // namespace mgpu::sim
