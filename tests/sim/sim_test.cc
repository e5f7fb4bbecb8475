#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "simulation.h"

namespace mgpu::sim {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Simulation, TheFirstLivesBreakNothing) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Life life = live(seed);
    ASSERT_FALSE(life.failure) << "seed " << seed << ": " << life.failure->what;
  }
}

TEST(Simulation, LivesAreNotBoring) {
  std::uint64_t grants = 0, evictions = 0, refusals = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Life life = live(seed);
    grants += life.grants, evictions += life.evictions, refusals += life.refusals;
  }
  EXPECT_GT(grants, 500U);
  EXPECT_GT(evictions, 100U);
  EXPECT_GT(refusals, 50U);
}

TEST(Simulation, EqualEventsGiveEqualEffects) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(live(seed).fingerprint, live(seed).fingerprint);
}

TEST(Scenario, SurvivesBeingWrittenAndRead) {
  const Scenario scenario = live(7).scenario;
  const std::string text = to_text(scenario);
  EXPECT_EQ(to_text(from_text(text)), text);
}

TEST(Scenario, KeptRegressionsHold) {
  for (const auto& entry : std::filesystem::directory_iterator(MGPU_REGRESSIONS)) {
    if (entry.path().extension() != ".scenario") continue;
    const auto failure = replay(from_text(read_file(entry.path())));
    EXPECT_FALSE(failure) << entry.path() << ": " << failure->what;
  }
}

// A world that is broken from the start: the referee must see it, and shrinking must keep just what shows it.
TEST(Shrink, KeepsOnlyTheEventsThatMatter) {
  Scenario scenario = live(3).scenario;
  ASSERT_GT(scenario.events.size(), 50U);
  scenario.world.lines[0].statistics.queue_depth = 1;
  const auto failure = replay(scenario);
  ASSERT_TRUE(failure);
  const Scenario small = shrink(scenario, *failure);
  EXPECT_EQ(small.events.size(), 1U);
  EXPECT_EQ(replay(small)->what, failure->what);
}

}  // namespace
}  // namespace mgpu::sim
