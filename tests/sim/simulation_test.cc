#include "simulation.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace mgpu::sim {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Simulation, TheFirstSeedsViolateNoInvariant) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const SimulationResult result = run_simulation(seed);
    ASSERT_FALSE(result.failure) << "seed " << seed << ": " << result.failure->message;
  }
}

TEST(Simulation, CoversGrantsEvictionsAndRefusals) {
  std::uint64_t grants = 0, evictions = 0, refusals = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const SimulationResult result = run_simulation(seed);
    grants += result.grants, evictions += result.evictions, refusals += result.refusals;
  }
  EXPECT_GT(grants, 500U);
  EXPECT_GT(evictions, 100U);
  EXPECT_GT(refusals, 50U);
}

TEST(Simulation, EqualEventsGiveEqualEffects) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    EXPECT_EQ(run_simulation(seed).fingerprint, run_simulation(seed).fingerprint);
}

TEST(Scenario, WritingAndParsingGivesTheSameText) {
  const Scenario scenario = run_simulation(7).scenario;
  const std::string text = to_text(scenario);
  EXPECT_EQ(to_text(from_text(text)), text);
}

TEST(Scenario, RegressionsViolateNoInvariant) {
  for (const auto& entry : std::filesystem::directory_iterator(MGPU_REGRESSIONS)) {
    if (entry.path().extension() != ".scenario") continue;
    const auto failure = replay_scenario(from_text(read_file(entry.path())));
    EXPECT_FALSE(failure) << entry.path() << ": " << failure->message;
  }
}

// The initial world violates an invariant: the checker must find it, and shrinking must keep one event.
TEST(Shrink, KeepsOnlyTheEventsThatAreNeeded) {
  Scenario scenario = run_simulation(3).scenario;
  ASSERT_GT(scenario.events.size(), 50U);
  scenario.world.lines[0].statistics.queue_depth = 1;
  const auto failure = replay_scenario(scenario);
  ASSERT_TRUE(failure);
  const Scenario shrunk = shrink_scenario(scenario, *failure);
  EXPECT_EQ(shrunk.events.size(), 1U);
  EXPECT_EQ(replay_scenario(shrunk)->message, failure->message);
}

}  // namespace
}  // namespace mgpu::sim
