// A scenario: a world before anything happened, and the events that were fed to it. As text it is short
// enough to be kept as a regression test and read by a person.
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

// The reverse. Aborts on a text that to_text did not write.
Scenario from_text(const std::string& text);

// What went wrong, and after how many events.
struct ScenarioFailure {
  std::string message{};
  std::size_t event_count = 0;
};

// Feeds the events again and checks everything after each. Events that the shell could not have sent at that
// point (an answer to a question that was not asked) are left out, so that a shrunken scenario stays a
// possible one.
std::optional<ScenarioFailure> replay_scenario(const Scenario& scenario);

// The shortest sub-list of events that still fails in the same way.
Scenario shrink_scenario(Scenario scenario, const ScenarioFailure& failure);

}  // namespace mgpu::sim
