// Tests of turnless consumers, which need memory but no turn.
#include "sched/core_harness.h"
#include "sched/line_order.h"

namespace mgpu {
namespace {

CoreHarness affinity_harness(std::uint32_t capacity = 1) { return CoreHarness(capacity, Policy::affinity); }

TEST(Turnless, ATicketThatWaitsForConcurrencyDelaysNoOtherConsumer) {
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

// The large consumer waits for memory that a running lease of chat holds. The small one is warm and idle.
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
    const bool is_running = is_granted(effects, ticket);
    if (is_running) harness.apply_event(LeaseReleased{ticket});
    return is_running;
  }
};

TEST(Turnless, ATicketThatWaitsForMemoryIsOvertakenOnlyForItsBound) {
  TurnlessFixture fixture(Policy::affinity);
  EXPECT_TRUE(fixture.can_run_small());
  fixture.harness.apply_event(Tick{}, 4s);
  EXPECT_TRUE(fixture.can_run_small());
  fixture.harness.apply_event(Tick{}, 2s);
  EXPECT_FALSE(fixture.can_run_small());
}

TEST(Turnless, UnderFifoATicketThatWaitsForMemoryIsNotOvertaken) {
  TurnlessFixture fixture(Policy::fifo);
  EXPECT_FALSE(fixture.can_run_small());
}

TEST(Turnless, ContinuousTurnlessWorkDoesNotDelayAnExclusiveConsumer) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    CoreHarness harness(1, policy);
    const auto embed =
        harness.create_consumer({.name = "embed", .footprint = kGiB, .concurrency = 4, .turnless = true});
    const auto train = harness.create_consumer({.name = "train", .footprint = kGiB * 10, .exclusive = true});
    harness.make_warm(embed), harness.make_warm(train);
    harness.submit_ticket(embed), harness.submit_ticket(embed);
    const auto [training, training_effects] = harness.submit_ticket(train);
    EXPECT_TRUE(is_granted(training_effects, training));
    const auto [beside, effects] = harness.submit_ticket(embed);
    EXPECT_TRUE(is_granted(effects, beside)) << "an exclusive turn does not block turnless tickets";
  }
}

TEST(Turnless, AnExclusiveConsumerWaitsForABareTurn) {
  CoreHarness harness = affinity_harness(3);
  const auto train = harness.create_consumer({.name = "train", .footprint = kGiB, .exclusive = true});
  harness.make_warm(train);
  const auto effects =
      harness.apply_event(TicketArrived{TicketId{100}, {.device = harness.gpu, .bytes = kGiB}});
  ASSERT_TRUE(is_granted(effects, TicketId{100}) || is_granted(harness.report_reading(), TicketId{100}));
  const auto [training, training_effects] = harness.submit_ticket(train);
  EXPECT_FALSE(is_granted(training_effects, training));
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{TicketId{100}}), training) ||
              is_granted(harness.report_reading(), training));
}

}  // namespace
}  // namespace mgpu
