// Stories of those that need memory but no turn: what they wait for, and who waits for them.
#include "sched/home_for_tests.h"
#include "sched/order.h"

namespace mgpu {
namespace {

Home affine(std::uint32_t capacity = 1) { return Home(capacity, Policy::affinity); }

TEST(Turnless, OneThatWaitsForItsOwnConcurrencyHoldsUpNoOther) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    Home home(1, policy);
    const auto embed = home.consumer({.name = "embed", .footprint = kGiB, .turnless = true});
    const auto rerank = home.consumer({.name = "rerank", .footprint = kGiB, .turnless = true});
    home.warm(embed), home.warm(rerank);
    const auto [first, begins] = home.asks(embed);
    ASSERT_TRUE(granted(begins, first));
    const TicketId second = home.asks(embed).first;
    const auto [other, effects] = home.asks(rerank);
    EXPECT_TRUE(granted(effects, other));
    EXPECT_TRUE(granted(home.happens(LeaseReleased{first}), second));
  }
}

// What its memory waits for is held for long; the small one is warm, and needs nothing.
struct Large {
  Home home;
  ConsumerId chat, large, small;
  TicketId waits{};
  explicit Large(Policy policy)
      : home(1, policy),
        chat(home.consumer({.name = "chat", .footprint = kGiB * 14})),
        large(home.consumer({.name = "large", .footprint = kGiB * 12, .turnless = true})),
        small(home.consumer({.name = "small", .footprint = kGiB, .turnless = true})) {
    home.world.limits.overtake_limit = 5s;
    home.warm(chat), home.warm(small);
    home.asks(chat);
    waits = home.asks(large).first;
  }
  bool small_runs() {
    const auto [ticket, effects] = home.asks(small);
    const bool runs = granted(effects, ticket);
    if (runs) home.happens(LeaseReleased{ticket});
    return runs;
  }
};

TEST(Turnless, OneThatWaitsForMemoryIsPassedOnlyForItsBound) {
  Large story(Policy::affinity);
  EXPECT_TRUE(story.small_runs());
  story.home.happens(Tick{}, 4s);
  EXPECT_TRUE(story.small_runs());
  story.home.happens(Tick{}, 2s);
  EXPECT_FALSE(story.small_runs());
}

TEST(Turnless, UnderFifoNobodyPassesOneThatWaitsForMemory) {
  Large story(Policy::fifo);
  EXPECT_FALSE(story.small_runs());
}

TEST(Turnless, SteadyWorkOfOthersDoesNotKeepAnExclusiveOneWaiting) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    Home home(1, policy);
    const auto embed =
        home.consumer({.name = "embed", .footprint = kGiB, .concurrency = 4, .turnless = true});
    const auto train = home.consumer({.name = "train", .footprint = kGiB * 10, .exclusive = true});
    home.warm(embed), home.warm(train);
    home.asks(embed), home.asks(embed);
    const auto [trains, begins] = home.asks(train);
    EXPECT_TRUE(granted(begins, trains));
    const auto [beside, effects] = home.asks(embed);
    EXPECT_TRUE(granted(effects, beside)) << "who needs no turn is not kept from one";
  }
}

TEST(Turnless, AnExclusiveOneStillHasTheTurnForItself) {
  Home home = affine(3);
  const auto train = home.consumer({.name = "train", .footprint = kGiB, .exclusive = true});
  home.warm(train);
  const auto effects = home.happens(TicketArrived{TicketId{100}, {.device = home.gpu, .bytes = kGiB}});
  ASSERT_TRUE(granted(effects, TicketId{100}) || granted(home.read(), TicketId{100}));
  const auto [trains, begins] = home.asks(train);
  EXPECT_FALSE(granted(begins, trains));
  EXPECT_TRUE(granted(home.happens(LeaseReleased{TicketId{100}}), trains) || granted(home.read(), trains));
}

}  // namespace
}  // namespace mgpu
