// What the measured page promises of the line, loosely, on fewer people: a change of the policy that makes
// waiting worse is seen here before it is seen there.
#include <gtest/gtest.h>

#include "best_order.h"
#include "replay/summary.h"
#include "synthetic_workloads.h"
#include "variants.h"

namespace mgpu::bench {
namespace {

class PolicyComparison : public testing::TestWithParam<const char*> {
 protected:
  static replay::Summary figures(const std::string& variant) {
    const auto outcome = run_seeds(variant, GetParam(), {.count = 2});
    EXPECT_TRUE(outcome) << outcome.error().detail;
    return outcome ? replay::summarize(*outcome) : replay::Summary{};
  }
};

TEST_P(PolicyComparison, AffinityIsNeverWorseThanOneAfterTheOther) {
  const Duration charter = figures("charter").lost.mean;
  EXPECT_LE(figures("affinity").lost.mean, charter);
  EXPECT_LE(figures("affinity+cap2").lost.mean, charter);
}

TEST_P(PolicyComparison, CheapLoadsAreWorthMore) {
  const Duration cold = figures("affinity").lost.mean;
  EXPECT_LE(figures("affinity+cache").lost.mean, cold);
  EXPECT_LE(figures("affinity+park").lost.mean, cold);
}

TEST_P(PolicyComparison, NobodyIsOvertakenAfterHisBound) {
  for (const char* variant :
       {"affinity", "affinity+cap2", "affinity+overtake_limit=5s", "affinity+cap2+park"})
    EXPECT_EQ(figures(variant).bound_excess, Duration{}) << variant;
  EXPECT_EQ(figures("fifo").max_times_overtaken, 0U);
}

TEST_P(PolicyComparison, EverybodyIsServed) {
  for (const char* variant : {"fifo", "affinity", "affinity+cap2"})
    EXPECT_EQ(figures(variant).refused, 0U) << variant;
}

INSTANTIATE_TEST_SUITE_P(Traces, PolicyComparison,
                         testing::Values("voice", "agents", "independent", "azure", "azure_quiet"),
                         [](const auto& of) { return std::string(of.param); });

TEST(Search, AffinityIsNearTheBestOrder) {
  constexpr double kGoal = 1.5;
  for (const char* trace : {"voice", "agents", "azure"}) {
    const auto outcome = run_seeds("affinity", trace, {.count = 1});
    ASSERT_TRUE(outcome) << outcome.error().detail;
    Duration best{}, ours{};
    for (const replay::Workload& window : split_into_windows(*outcome, 14, 10)) {
      best += best_mean_wait(synthetic_system(), window, 1000);
      ours += replay::summarize(run_variant("affinity", window).value_or(replay::Outcome{})).lost.mean;
    }
    EXPECT_LE(to_ms(ours), kGoal * to_ms(best)) << trace;
  }
}

TEST(Search, FindsTheOrderThatIsPlainlyBest) {
  // chat is loaded (12 s) when the second comes; to serve the coder in between would cost three more loads.
  replay::Workload window;
  const auto add_job = [&](std::int64_t at_s, std::uint64_t consumer) {
    window.flows.push_back({.start = Instant{at_s * 1'000'000}, .user = 0, .steps = {}});
    window.flows.back().steps.push_back(
        {.consumer = {consumer}, .resident = ResidentId{consumer}, .work = std::chrono::seconds{1}});
  };
  add_job(2, 1), add_job(3, 3), add_job(4, 1);
  // 12 s; then chat again at 15 s: 11 s; then the coder, evicted for (0.5 s) and loaded (20 s) from 16 s
  // on: 33.5 s.
  EXPECT_NEAR(to_ms(best_mean_wait(synthetic_system(), window, 100)), (12 + 11 + 33.5) / 3 * 1000, 1);
}

}  // namespace
}  // namespace mgpu::bench
