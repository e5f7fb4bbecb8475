// What the measured page promises of the line, loosely, on fewer people: a change of the policy that makes
// waiting worse is seen here before it is seen there.
#include <gtest/gtest.h>

#include "best.h"
#include "households.h"
#include "replay/summary.h"
#include "variants.h"

namespace mgpu::bench {
namespace {

class Waiting : public testing::TestWithParam<const char*> {
 protected:
  static replay::Summary figures(const std::string& variant) {
    const auto outcome = run_seeds(variant, GetParam(), {.seeds = 2});
    EXPECT_TRUE(outcome) << outcome.error().detail;
    return outcome ? replay::summarize(*outcome) : replay::Summary{};
  }
};

TEST_P(Waiting, AffinityIsNeverWorseThanOneAfterTheOther) {
  const Duration charter = figures("charter").lost.mean;
  EXPECT_LE(figures("affinity").lost.mean, charter);
  EXPECT_LE(figures("affinity+cap2").lost.mean, charter);
}

TEST_P(Waiting, CheapLoadsAreWorthMore) {
  const Duration cold = figures("affinity").lost.mean;
  EXPECT_LE(figures("affinity+cache").lost.mean, cold);
  EXPECT_LE(figures("affinity+park").lost.mean, cold);
}

TEST_P(Waiting, NobodyIsOvertakenAfterHisBound) {
  for (const char* variant :
       {"affinity", "affinity+cap2", "affinity+overtake_limit=5s", "affinity+cap2+park"})
    EXPECT_EQ(figures(variant).bound_excess, Duration{}) << variant;
  EXPECT_EQ(figures("fifo").max_times_overtaken, 0U);
}

TEST_P(Waiting, EverybodyIsServed) {
  for (const char* variant : {"fifo", "affinity", "affinity+cap2"})
    EXPECT_EQ(figures(variant).refused, 0U) << variant;
}

INSTANTIATE_TEST_SUITE_P(Traces, Waiting,
                         testing::Values("voice", "agents", "independent", "azure", "azure_quiet"),
                         [](const auto& of) { return std::string(of.param); });

TEST(Search, AffinityIsNearTheBestOrder) {
  constexpr double kGoal = 1.5;
  for (const char* trace : {"voice", "agents", "azure"}) {
    const auto lived = run_seeds("affinity", trace, {.seeds = 1});
    ASSERT_TRUE(lived) << lived.error().detail;
    Duration best{}, ours{};
    for (const replay::Workload& window : windows_of(*lived, 14, 10)) {
      best += best_mean_wait(household(), window, 1000);
      ours += replay::summarize(run("affinity", window).value_or(replay::Outcome{})).lost.mean;
    }
    EXPECT_LE(to_ms(ours), kGoal * to_ms(best)) << trace;
  }
}

TEST(Search, FindsTheOrderThatIsPlainlyBest) {
  // chat is loaded (12 s) when the second comes; to serve the coder in between would cost three more loads.
  replay::Workload window;
  const auto ask = [&](std::int64_t at_s, std::uint64_t who) {
    window.flows.push_back({.start = Instant{at_s * 1'000'000}, .user = 0, .steps = {}});
    window.flows.back().steps.push_back(
        {.consumer = {who}, .resident = ResidentId{who}, .work = std::chrono::seconds{1}});
  };
  ask(2, 1), ask(3, 3), ask(4, 1);
  // 12 s; then chat again at 15 s: 11 s; then the coder, evicted for (0.5 s) and loaded (20 s) from 16 s
  // on: 33.5 s.
  EXPECT_NEAR(to_ms(best_mean_wait(household(), window, 100)), (12 + 11 + 33.5) / 3 * 1000, 1);
}

}  // namespace
}  // namespace mgpu::bench
