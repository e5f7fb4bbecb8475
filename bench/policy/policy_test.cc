// Loose versions of the results in docs/performance.md, on smaller workloads: they detect a change of the
// policy that makes waits longer before the measurements do.
#include <gtest/gtest.h>

#include "best_order.h"
#include "replay/summary.h"
#include "synthetic_workloads.h"
#include "variants.h"

namespace mgpu::bench {
namespace {

class PolicyComparison : public testing::TestWithParam<const char*> {
 protected:
  static replay::Summary summary_of(const std::string& variant) {
    const auto outcome = run_seeds(variant, GetParam(), {.count = 2});
    EXPECT_TRUE(outcome) << outcome.error().detail;
    return outcome ? replay::summarize(*outcome) : replay::Summary{};
  }
};

TEST_P(PolicyComparison, AffinityIsNeverWorseThanFirstComeFirstServed) {
  const Duration charter = summary_of("charter").lost.mean;
  EXPECT_LE(summary_of("affinity").lost.mean, charter);
  EXPECT_LE(summary_of("affinity+cap2").lost.mean, charter);
}

TEST_P(PolicyComparison, CheaperLoadsReduceTheLostTime) {
  const Duration cold = summary_of("affinity").lost.mean;
  EXPECT_LE(summary_of("affinity+cache").lost.mean, cold);
  EXPECT_LE(summary_of("affinity+park").lost.mean, cold);
}

TEST_P(PolicyComparison, NoJobIsOvertakenPastItsBound) {
  for (const char* variant :
       {"affinity", "affinity+cap2", "affinity+overtake_limit=5s", "affinity+cap2+park"})
    EXPECT_EQ(summary_of(variant).bound_excess, Duration{}) << variant;
  EXPECT_EQ(summary_of("fifo").max_times_overtaken, 0U);
}

TEST_P(PolicyComparison, NoJobIsRefused) {
  for (const char* variant : {"fifo", "affinity", "affinity+cap2"})
    EXPECT_EQ(summary_of(variant).refused, 0U) << variant;
}

INSTANTIATE_TEST_SUITE_P(Traces, PolicyComparison,
                         testing::Values("voice", "agents", "independent", "azure", "azure_quiet"),
                         [](const auto& info) { return std::string(info.param); });

TEST(BestOrder, AffinityIsNearTheBestOrder) {
  constexpr double kMaxRatio = 1.5;
  for (const char* trace : {"voice", "agents", "azure"}) {
    const auto outcome = run_seeds("affinity", trace, {.count = 1});
    ASSERT_TRUE(outcome) << outcome.error().detail;
    Duration best{}, affinity{};
    for (const replay::Workload& window : split_into_windows(*outcome, 14, 10)) {
      best += best_mean_wait(synthetic_machine(), window, 1000);
      // Known: what was never seen loaded is not loaded ahead, and each window begins anew.
      affinity +=
          replay::summarize(run_variant("affinity+known", window).value_or(replay::Outcome{})).lost.mean;
    }
    EXPECT_LE(to_ms(affinity), kMaxRatio * to_ms(best)) << trace;
  }
}

TEST(BestOrder, FindsAKnownBestOrder) {
  // chat loads (12 s) when the coder's job arrives; to run the coder between the chat jobs would cost more
  // loads.
  replay::Workload window;
  const auto add_job = [&](std::int64_t at_s, std::uint64_t consumer) {
    window.flows.push_back({.start = Instant{at_s * 1'000'000}, .user = 0, .steps = {}});
    window.flows.back().steps.push_back(
        {.consumer = {consumer}, .resident = ResidentId{consumer}, .work = std::chrono::seconds{1}});
  };
  add_job(2, 1), add_job(3, 3), add_job(4, 1);
  // Waits: chat 12 s; chat again at 15 s: 11 s; the coder after an eviction (0.5 s) and a load (20 s) from 16
  // s on: 33.5 s.
  EXPECT_NEAR(to_ms(best_mean_wait(synthetic_machine(), window, 100)), (12 + 11 + 33.5) / 3 * 1000, 1);
}

}  // namespace
}  // namespace mgpu::bench
