#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

// One consumer whose resident is warm and idle.
struct KeepAliveHarness : CoreHarness {
  ConsumerId chat;

  explicit KeepAliveHarness(Consumer spec = {})
      : chat(create_consumer({.name = "chat",
                              .footprint = kGiB,
                              .pinned = spec.pinned,
                              .idle_unload = spec.idle_unload,
                              .max_keep_alive = spec.max_keep_alive})) {
    make_warm(chat);
  }

  Effects set(Duration keep_alive) { return apply_event(KeepAliveSet{resident_of(chat), keep_alive}); }
  std::optional<Duration> limit() { return idle_limit(world.registry, world.registry[resident_of(chat)]); }
};

TEST(KeepAlive, ReplacesIdleUnloadWithinItsBound) {
  KeepAliveHarness harness({.idle_unload = 15min, .max_keep_alive = 15min});
  EXPECT_EQ(harness.limit(), 15min);
  harness.set(5min);
  EXPECT_EQ(harness.limit(), 5min);
  harness.set(1h);
  EXPECT_EQ(harness.limit(), 15min);
  harness.set(-1s);
  EXPECT_EQ(harness.limit(), 15min);
}

TEST(KeepAlive, HasNoBoundWhereNothingIsUnloadedForIdleness) {
  KeepAliveHarness harness;
  EXPECT_EQ(harness.limit(), std::nullopt);
  harness.set(1h);
  EXPECT_EQ(harness.limit(), 1h);
  harness.set(-1s);
  EXPECT_EQ(harness.limit(), std::nullopt);
}

TEST(KeepAlive, BeginsTheIdleTimeAnew) {
  KeepAliveHarness harness({.idle_unload = 1min});
  harness.apply_event(Tick{}, 50s);
  harness.set(1min);
  EXPECT_EQ(next_wakeup(harness.world), harness.world.now + 1min);
  EXPECT_FALSE(find_effect<Evict>(harness.apply_event(Tick{}, 59s)));
  EXPECT_TRUE(find_effect<Evict>(harness.apply_event(Tick{}, 1s)));
}

TEST(KeepAlive, ZeroUnloadsAtOnceWhatIsIdle) {
  KeepAliveHarness harness;
  EXPECT_TRUE(find_effect<Evict>(harness.set(0s)));
}

TEST(KeepAlive, ZeroUnloadsAfterTheWorkWhatIsInUse) {
  KeepAliveHarness harness;
  const auto [ticket, granted] = harness.submit_ticket(harness.chat);
  ASSERT_TRUE(is_granted(granted, ticket));
  EXPECT_FALSE(find_effect<Evict>(harness.set(0s)));
  EXPECT_TRUE(find_effect<Evict>(harness.apply_event(LeaseReleased{ticket})));
}

TEST(KeepAlive, ZeroWaitsForTheTicketsThatWaitForTheResident) {
  KeepAliveHarness harness;
  const auto voice = harness.create_consumer({.name = "voice", .footprint = kGiB});
  harness.make_warm(voice);
  const auto [turn, granted] = harness.submit_ticket(voice);
  ASSERT_TRUE(is_granted(granted, turn));
  const auto [waiting, effects] = harness.submit_ticket(harness.chat);
  EXPECT_FALSE(find_effect<Evict>(harness.set(0s)));
  const Effects next = harness.apply_event(LeaseReleased{turn});
  ASSERT_TRUE(is_granted(next, waiting)) << "served without a load";
  EXPECT_TRUE(find_effect<Evict>(harness.apply_event(LeaseReleased{waiting})));
}

TEST(KeepAlive, EndsWithTheNextLoad) {
  KeepAliveHarness harness;
  harness.set(0s);
  harness.apply_event(RungEnded{harness.resident_of(harness.chat), Rung::stop});
  harness.report_reading();
  ASSERT_EQ(harness.state_of(harness.chat), Residency::cold);
  harness.make_warm(harness.chat);
  EXPECT_EQ(harness.limit(), std::nullopt);
  EXPECT_EQ(harness.state_of(harness.chat), Residency::warm);
}

TEST(KeepAlive, DoesNotLoadAndBlocksAWarmUpOfWhatIsCold) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  const ResidentId resident = harness.resident_of(chat);
  EXPECT_TRUE(harness.apply_event(KeepAliveSet{resident, 1h}).empty());
  EXPECT_FALSE(harness.world.registry[resident].warm_up_blocked);
  harness.apply_event(KeepAliveSet{resident, 0s});
  EXPECT_TRUE(harness.world.registry[resident].warm_up_blocked);
  EXPECT_EQ(harness.state_of(chat), Residency::cold);
}

TEST(KeepAlive, DoesNotUnloadWhatIsPinned) {
  KeepAliveHarness harness({.pinned = true});
  EXPECT_FALSE(find_effect<Evict>(harness.set(0s)));
}

}  // namespace
}  // namespace mgpu
