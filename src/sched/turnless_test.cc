// Stories of those that need memory but no turn: what they wait for, and who waits for them.
#include "sched/core_harness.h"
#include "sched/line_order.h"

namespace mgpu {
namespace {

CoreHarness affinity_harness(std::uint32_t capacity = 1) { return CoreHarness(capacity, Policy::affinity); }

TEST(Turnless, OneThatWaitsForItsOwnConcurrencyHoldsUpNoOther) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    CoreHarness harness(1, policy);
    const auto embed = harness.create_consumer({.name = "embed", .footprint = kGiB, .turnless = true});
    const auto rerank = harness.create_consumer({.name = "rerank", .footprint = kGiB, .turnless = true});
    harness.make_warm(embed), harness.make_warm(rerank);
    const auto [first, begins] = harness.submit_ticket(embed);
    ASSERT_TRUE(is_granted(begins, first));
    const TicketId second = harness.submit_ticket(embed).first;
    const auto [other, effects] = harness.submit_ticket(rerank);
    EXPECT_TRUE(is_granted(effects, other));
    EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{first}), second));
  }
}

// What its memory waits for is held for long; the small one is warm, and needs nothing.
struct TurnlessFixture {
  CoreHarness harness;
  ConsumerId chat, large, small;
  TicketId waiting_ticket{};
  explicit TurnlessFixture(Policy policy)
      : harness(1, policy),
        chat(harness.create_consumer({.name = "chat", .footprint = kGiB * 14})),
        large(harness.create_consumer({.name = "large", .footprint = kGiB * 12, .turnless = true})),
        small(harness.create_consumer({.name = "small", .footprint = kGiB, .turnless = true})) {
    harness.world.limits.overtake_limit = 5s;
    harness.make_warm(chat), harness.make_warm(small);
    harness.submit_ticket(chat);
    waiting_ticket = harness.submit_ticket(large).first;
  }
  bool can_run_small() {
    const auto [ticket, effects] = harness.submit_ticket(small);
    const bool runs = is_granted(effects, ticket);
    if (runs) harness.apply_event(LeaseReleased{ticket});
    return runs;
  }
};

TEST(Turnless, OneThatWaitsForMemoryIsPassedOnlyForItsBound) {
  TurnlessFixture fixture(Policy::affinity);
  EXPECT_TRUE(fixture.can_run_small());
  fixture.harness.apply_event(Tick{}, 4s);
  EXPECT_TRUE(fixture.can_run_small());
  fixture.harness.apply_event(Tick{}, 2s);
  EXPECT_FALSE(fixture.can_run_small());
}

TEST(Turnless, UnderFifoNobodyPassesOneThatWaitsForMemory) {
  TurnlessFixture fixture(Policy::fifo);
  EXPECT_FALSE(fixture.can_run_small());
}

TEST(Turnless, SteadyWorkOfOthersDoesNotKeepAnExclusiveOneWaiting) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    CoreHarness harness(1, policy);
    const auto embed =
        harness.create_consumer({.name = "embed", .footprint = kGiB, .concurrency = 4, .turnless = true});
    const auto train = harness.create_consumer({.name = "train", .footprint = kGiB * 10, .exclusive = true});
    harness.make_warm(embed), harness.make_warm(train);
    harness.submit_ticket(embed), harness.submit_ticket(embed);
    const auto [trains, begins] = harness.submit_ticket(train);
    EXPECT_TRUE(is_granted(begins, trains));
    const auto [beside, effects] = harness.submit_ticket(embed);
    EXPECT_TRUE(is_granted(effects, beside)) << "who needs no turn is not kept from one";
  }
}

TEST(Turnless, AnExclusiveOneStillHasTheTurnForItself) {
  CoreHarness harness = affinity_harness(3);
  const auto train = harness.create_consumer({.name = "train", .footprint = kGiB, .exclusive = true});
  harness.make_warm(train);
  const auto effects =
      harness.apply_event(TicketArrived{TicketId{100}, {.device = harness.gpu, .bytes = kGiB}});
  ASSERT_TRUE(is_granted(effects, TicketId{100}) || is_granted(harness.report_reading(), TicketId{100}));
  const auto [trains, begins] = harness.submit_ticket(train);
  EXPECT_FALSE(is_granted(begins, trains));
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{TicketId{100}}), trains) ||
              is_granted(harness.report_reading(), trains));
}

}  // namespace
}  // namespace mgpu
