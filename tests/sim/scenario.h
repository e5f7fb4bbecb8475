// A scenario: an initial world and a sequence of events. Its text form is kept as a regression test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sched/world.h"

namespace mgpu::sim {

struct Scenario {
  World world{};
  std::vector<Event> events{};
};

std::string to_text(const Scenario& scenario);

// The inverse of to_text. Aborts on other text.
Scenario from_text(const std::string& text);

struct ScenarioFailure {
  std::string message{};        // the violated invariant
  std::size_t event_count = 0;  // events until then
};

// Applies the events and checks all invariants after each. Events that the shell could not send at that point
// (a LoadEnded without a Load) are skipped, so that a shrunk scenario stays valid.
std::optional<ScenarioFailure> replay_scenario(const Scenario& scenario);

// Removes events as long as the scenario still fails with the same message.
Scenario shrink_scenario(Scenario scenario, const ScenarioFailure& failure);

}  // namespace mgpu::sim
