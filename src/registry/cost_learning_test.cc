#include "registry/cost_learning.h"

#include <gtest/gtest.h>

#include "registry/costs.h"
#include "registry/learning_fixture.h"
#include "registry/usage_history.h"

namespace mgpu {
namespace {

using namespace std::chrono_literals;

TEST(CostLearning, LoadTimesAreKeptBySource) {
  LearningFixture fixture;
  fixture.load({0}, {20'000'000}, LoadSource::cold);
  fixture.load({0}, {6'000'000}, LoadSource::cached);
  EXPECT_EQ(load_time(fixture.resident(), LoadSource::cold), Duration{20s});
  EXPECT_EQ(load_time(fixture.resident(), LoadSource::cached), Duration{6s});
  fixture.load({0}, {10'000'000}, LoadSource::cold);
  EXPECT_EQ(load_time(fixture.resident(), LoadSource::cold), Duration{15s}) << "the latest counts half";
}

TEST(UsageHistory, UsesDecay) {
  LearningFixture fixture;
  record_use(fixture.registry, fixture.model, {0});
  const double fresh = use_probability(fixture.resident(), {0}, 60s);
  EXPECT_NEAR(use_probability(fixture.resident(), Instant{} + kUseHalfLife, 60s), fresh / 2, 0.01);
}

TEST(UsageHistory, ASuccessorIsLearnedAfterAFewTimesAndForgottenWhenOthersFollow) {
  LearningFixture fixture;
  const auto tts = add_consumer(fixture.registry, {.name = "tts"});
  const auto other = add_consumer(fixture.registry, {.name = "other"});
  record_succession(fixture.registry, fixture.chat, tts);
  EXPECT_EQ(succession_probability(fixture.registry, fixture.chat, tts), 0)
      << "one observation is not enough";
  for (int i = 0; i < 4; ++i) record_succession(fixture.registry, fixture.chat, tts);
  EXPECT_EQ(succession_probability(fixture.registry, fixture.chat, tts), 1);
  for (int i = 0; i < 40; ++i) record_succession(fixture.registry, fixture.chat, other);
  EXPECT_LT(succession_probability(fixture.registry, fixture.chat, tts), 0.2);
}

TEST(UsageHistory, AConfiguredSuccessorCountsWithoutObservations) {
  LearningFixture fixture;
  const auto tts = add_consumer(fixture.registry, {.name = "tts"});
  fixture.consumer().spec.followed_by = {tts};
  EXPECT_EQ(succession_probability(fixture.registry, fixture.chat, tts), 1);
}

}  // namespace
}  // namespace mgpu
