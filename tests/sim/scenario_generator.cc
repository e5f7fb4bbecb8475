#include "scenario_generator.h"

#include <rapidcheck.h>

#include "simulation.h"

namespace mgpu::sim {

ScenarioPrefix draw_scenario() {
  const auto seed = *rc::gen::noShrink(rc::gen::inRange<std::uint64_t>(0, 1'000'000)).as("seed");
  ScenarioPrefix scenario = run_simulation(seed).scenario;
  const auto events = *rc::gen::inRange<std::size_t>(0, scenario.events.size() + 1).as("events");
  scenario.events.resize(events);
  return scenario;
}

}  // namespace mgpu::sim
