// Stories of the line under affinity: who goes before whom, and for how long.
#include "sched/order.h"

#include <gtest/gtest.h>

#include "sched/home_for_tests.h"

namespace mgpu {
namespace {

Home affine(std::uint32_t capacity = 1) { return Home(capacity, Policy::affinity); }

// Two large ones that exclude each other; the first is warm, and computes.
struct Pair {
  Home home = affine();
  ConsumerId chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  ConsumerId image = home.consumer({.name = "image", .footprint = kGiB * 12});
  TicketId computes{};
  Pair() {
    home.warm(chat);
    computes = home.asks(chat).first;
  }
};

TEST(Affinity, TheNextOfTheConsumerThatHasTheTurnGoesBeforeAnEarlierColdOne) {
  Pair pair;
  const TicketId cold = pair.home.asks(pair.image).first;
  const TicketId warm = pair.home.asks(pair.chat).first;
  const Effects effects = pair.home.happens(LeaseReleased{pair.computes});
  EXPECT_TRUE(granted(effects, warm));
  EXPECT_FALSE(granted(effects, cold));
  ASSERT_TRUE(the<Overtook>(effects));
  EXPECT_EQ(the<Overtook>(effects)->overtaken, std::vector{cold});
  EXPECT_EQ(the<Overtook>(effects)->reason, OvertakeReason::same_turn);
}

TEST(Affinity, NobodyPassesTheFirstOnceItHasBorneItsBound) {
  Pair pair;
  pair.home.world.limits.overtake_limit = 5s;
  pair.home.asks(pair.image);
  const TicketId second = pair.home.asks(pair.chat).first;
  const TicketId third = pair.home.asks(pair.chat).first;
  ASSERT_TRUE(granted(pair.home.happens(LeaseReleased{pair.computes}), second));
  const Effects late = pair.home.happens(LeaseReleased{second}, 6s);
  EXPECT_FALSE(granted(late, third));
  EXPECT_TRUE(the<Evict>(late)) << "the change for the first begins";
}

TEST(Affinity, TheBoundFollowsWhatTheChangesOfAllWhoWaitCost) {
  Pair pair;
  Resident& image = pair.home.world.registry[pair.home.resident(pair.image)];
  image.costs.load_cold = 20s, image.costs.unload = 1s;
  const TicketId cold = pair.home.asks(pair.image).first;
  EXPECT_EQ(overtake_bound(pair.home.world, pair.home.world.tickets.at(cold)), Duration{63s});
  image.costs.load_cold = 1s;
  EXPECT_EQ(overtake_bound(pair.home.world, pair.home.world.tickets.at(cold)), Duration{10s})
      << "but is never less than ten seconds";
}

TEST(Affinity, TheChangeThatServesMostForItsSecondsWins) {
  Home home = affine();
  const auto now = home.consumer({.name = "now", .footprint = kGiB * 20});
  const auto slow = home.consumer({.name = "slow", .footprint = kGiB * 20});
  const auto quick = home.consumer({.name = "quick", .footprint = kGiB * 20});
  home.world.registry[home.resident(slow)].costs.load_cold = 60s;
  home.world.registry[home.resident(quick)].costs.load_cold = 2s;
  home.warm(now);
  const TicketId computes = home.asks(now).first;
  home.asks(slow);
  const TicketId cheap = home.asks(quick).first;
  home.happens(LeaseReleased{computes});
  EXPECT_EQ(home.world.tickets.at(cheap).stage, Stage::preparing);
}

TEST(Affinity, ClassesOrderBeforeArrivalAndAgeUpward) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4});
  home.warm(chat);
  const TicketId computes = home.asks(chat).first;
  const TicketId batch = home.asks(chat, TicketRequest{.priority = Priority::batch}).first;
  const TicketId urgent = home.asks(chat, TicketRequest{.priority = Priority::realtime}).first;
  EXPECT_EQ(place_in_line(home.world, urgent), 1U);
  home.happens(Tick{}, home.world.limits.ageing * 3);
  const TicketId too_late = home.asks(chat, TicketRequest{.priority = Priority::realtime}).first;
  EXPECT_LT(place_in_line(home.world, batch), place_in_line(home.world, too_late)) << "it has aged";
  EXPECT_TRUE(granted(home.happens(LeaseReleased{computes}), urgent));
}

TEST(Affinity, OneUsersManyRequestsDoNotHoldUpAnothersSingleOne) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4});
  home.world.registry[home.resident(chat)].costs.run = 5s;
  home.warm(chat);
  home.asks(chat);
  for (int i = 0; i < 50; ++i) home.asks(chat, TicketRequest{.user = 1});
  const TicketId single = home.asks(chat, TicketRequest{.user = 2}).first;
  EXPECT_LE(place_in_line(home.world, single), 3U);
}

TEST(Affinity, ALongTurnEndsForOthersWithItsNextRequest) {
  Home home = affine();
  const auto voice = home.consumer({.name = "voice", .footprint = kGiB * 2});
  const auto coder = home.consumer({.name = "coder", .footprint = kGiB * 4, .max_turn = 10s});
  home.warm(voice), home.warm(coder);
  const TicketId computes = home.asks(coder).first;
  const TicketId spoken = home.asks(voice).first;
  const TicketId more = home.asks(coder).first;
  const Effects effects = home.happens(LeaseReleased{computes}, 11s);
  EXPECT_TRUE(granted(effects, spoken));
  EXPECT_FALSE(granted(effects, more));
}

TEST(Affinity, AConsumersOwnLineHasALimit) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4, .max_queue = 1});
  home.warm(chat);
  home.asks(chat);
  home.asks(chat);
  const Effects effects = home.asks(chat).second;
  ASSERT_TRUE(the<Refuse>(effects));
  EXPECT_EQ(the<Refuse>(effects)->error.code, ErrorCode::queue_full);
}

TEST(Affinity, ADeadlineThatCannotBeKeptIsRefusedAtOnceWithAnEstimate) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4});
  home.world.registry[home.resident(chat)].costs.run = 30s;
  home.warm(chat);
  home.asks(chat);
  home.asks(chat);
  const Effects effects = home.asks(chat, TicketRequest{.deadline = 5s}).second;
  ASSERT_TRUE(the<Refuse>(effects));
  EXPECT_GT(the<Refuse>(effects)->retry_after, Duration{5s});
}

// Found by the property that nobody starves: twice in half a minute nothing moved for a moment, and that was
// taken for half a minute without room.
TEST(Affinity, WhoIsFirstNowAndThenIsNotRefusedForWantOfRoomThatOthersUse) {
  Home home = affine();
  const auto batch =
      home.consumer({.name = "batch", .footprint = kGiB * 13, .concurrency = 2, .lease_only = true});
  const TicketRequest urgent{.priority = Priority::realtime}, patient{.priority = Priority::batch};
  const TicketId runs = home.asks(batch, urgent).first, next = home.asks(batch, urgent).first;
  const TicketId waits = home.asks(batch, patient).first;
  home.happens(LeaseReleased{runs});  // `next` waits for a reading, `waits` is first
  const TicketId last = home.asks(batch, urgent).first;
  home.read();
  ASSERT_EQ(home.world.tickets.at(next).stage, Stage::running);
  home.happens(LeaseReleased{next}, 31s);
  ASSERT_EQ(home.world.tickets.at(last).stage, Stage::preparing);
  EXPECT_TRUE(home.world.tickets.contains(waits));
}

TEST(LoadAhead, TheNextConsumerLoadsWhileAnotherComputesIfBothFit) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 10});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat);
  const TicketId computes = home.asks(chat).first;
  home.read();
  const auto [ticket, effects] = home.asks(image);
  ASSERT_TRUE(the<Load>(effects));
  EXPECT_FALSE(granted(home.happens(LoadEnded{home.resident(image)}), ticket)) << "its turn has not come";
  EXPECT_TRUE(granted(home.happens(LeaseReleased{computes}), ticket));
}

TEST(LoadAhead, NobodyLeavesForItWhomOthersWaitFor) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 8});
  const auto wanted = home.consumer({.name = "wanted", .footprint = kGiB * 8});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat), home.warm(wanted);
  home.asks(chat);
  home.asks(wanted);
  home.read();
  const Effects effects = home.asks(image).second;
  EXPECT_FALSE(the<Evict>(effects));
  EXPECT_TRUE(the<ReadAhead>(effects)) << "but its weights may come into the page cache";
}

TEST(LoadAhead, IsGivenUpWithItsTicketAndMayLeaveThen) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 10});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat);
  home.asks(chat);
  home.read();
  const TicketId ahead = home.asks(image).first;
  home.happens(LoadEnded{home.resident(image)});
  home.happens(TicketCancelled{ahead});
  EXPECT_TRUE(may_evict(home.world, home.resident(image), false));
}

// Found by the property that nobody starves: the first was refused for want of room after half a minute,
// beside an idle device. Its room was kept for one that had been loaded ahead and might not go, since its
// consumer had had its turn.
TEST(LoadAhead, GoesEvenWhenItsConsumerHasHadItsTurnIfTheFirstNeedsItsRoom) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14, .max_turn = 1ms});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 14});
  home.warm(image);
  const TicketId runs = home.asks(chat).first;  // image leaves for it
  const TicketId ahead = home.asks(chat).first;
  ASSERT_TRUE(home.world.tickets.at(ahead).claims);
  const TicketId first = home.asks(image, TicketRequest{.priority = Priority::realtime}).first;
  home.happens(RungEnded{home.resident(image), Rung::stop, {}});
  home.read();
  ASSERT_TRUE(granted(home.happens(LoadEnded{home.resident(chat)}), runs));
  home.read();
  EXPECT_TRUE(granted(home.happens(LeaseReleased{runs}), ahead));
  home.happens(LeaseReleased{ahead});
  EXPECT_EQ(home.world.tickets.at(first).stage, Stage::preparing);
}

// Likewise: a more urgent one of the same consumer came, for another AI model, and both stood still.
TEST(LoadAhead, GoesBeforeAMoreUrgentOneOfItsConsumerThatNeedsItsRoom) {
  Home home = affine();
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14, .can_unload = true});
  const ResidentId other = add_resident(home.world.registry, chat, "other", kGiB * 14);
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 4});
  home.warm(image);
  const TicketId computes = home.asks(image).first;
  const TicketId ahead = home.asks(chat).first;
  ASSERT_TRUE(home.world.tickets.at(ahead).claims);
  const TicketId urgent{++home.last_ticket};
  home.happens(TicketArrived{
      urgent, {.device = home.gpu, .consumer = chat, .resident = other, .priority = Priority::realtime}});
  home.happens(LoadEnded{home.resident(chat)});
  home.read();
  EXPECT_TRUE(granted(home.happens(LeaseReleased{computes}), ahead));
}

// A lease of chat runs, the next of chat has its resident loaded ahead, and the first of the line, due before
// both, has borne its bound: it needs the room that the claim keeps.
struct ClaimBehindALease {
  Home home = affine(2);
  ConsumerId chat =
      home.consumer({.name = "chat", .footprint = kGiB * 6, .working = kGiB, .can_unload = true});
  ResidentId other = add_resident(home.world.registry, chat, "other", kGiB * 12);
  ConsumerId small = home.consumer({.name = "small", .footprint = kGiB});
  ConsumerId image = home.consumer({.name = "image", .footprint = kGiB * 20});
  TicketId runs{}, ahead{}, first{};

  ClaimBehindALease() { home.world.limits.overtake_limit = 1s; }

  // `needed`: by the next ticket of chat. It may be what the lease runs on, while room is made for that.
  void a_lease_of_chat_runs(ResidentId needed) {
    const auto leaves = home.consumer({.name = "leaves", .footprint = kGiB * 18});
    home.warm(small), home.warm(leaves);
    const TicketId computes = home.asks(small).first;
    runs = home.asks(chat).first;
    const bool same = needed == home.resident(chat);
    if (same) ahead_asks(needed);
    home.happens(RungEnded{home.resident(leaves), Rung::stop, {}});
    home.read();
    home.happens(LoadEnded{home.resident(chat)});
    home.read();
    if (!same) {
      ahead_asks(needed);
      home.happens(LoadEnded{needed});
      home.read();
    }
    first = home.asks(image, TicketRequest{.priority = Priority::realtime}).first;
    const TicketId passes = home.asks(small).first;
    ASSERT_TRUE(granted(home.happens(LeaseReleased{computes}), passes));
    home.happens(LeaseReleased{passes}, 2s);
    home.read();
    ASSERT_EQ(home.world.tickets.at(runs).stage, Stage::running);
    ASSERT_TRUE(home.world.tickets.at(ahead).claims);
    ASSERT_EQ(place_in_line(home.world, first), 1U);
  }

 private:
  void ahead_asks(ResidentId needed) {
    ahead = {++home.last_ticket};
    home.happens(TicketArrived{ahead, {.device = home.gpu, .consumer = chat, .resident = needed}});
  }
};

// Found by seed 42372 of the simulation.
TEST(LoadAhead, GoesNotBeforeAFormerOneOfItsConsumerThatRanOutOfMemory) {
  ClaimBehindALease line;
  line.a_lease_of_chat_runs(line.home.resident(line.chat));
  ASSERT_TRUE(the<Requeued>(line.home.happens(OutOfMemorySeen{line.runs})));
  EXPECT_EQ(line.home.world.tickets.at(line.first).stage, Stage::preparing);
  EXPECT_EQ(line.home.world.tickets.at(line.runs).stage, Stage::waiting);
  EXPECT_EQ(line.home.world.tickets.at(line.ahead).stage, Stage::waiting);
  EXPECT_LT(place_in_line(line.home.world, line.runs), place_in_line(line.home.world, line.ahead));
}

TEST(LoadAhead, OfAnotherAiModelGoesNotBeforeAFormerOneThatRanOutOfMemory) {
  ClaimBehindALease line;
  line.a_lease_of_chat_runs(line.other);
  ASSERT_TRUE(the<Requeued>(line.home.happens(OutOfMemorySeen{line.runs})));
  EXPECT_EQ(line.home.world.tickets.at(line.first).stage, Stage::preparing);
  EXPECT_EQ(line.home.world.tickets.at(line.ahead).stage, Stage::waiting);
}

TEST(LoadAhead, KeepsItsResidentIfAFormerOneRunsOutOfMemoryForGood) {
  ClaimBehindALease line;
  line.a_lease_of_chat_runs(line.other);
  line.home.world.registry[line.home.resident(line.chat)].footprint = kGiB * 23;  // all there is
  ASSERT_TRUE(the<Refuse>(line.home.happens(OutOfMemorySeen{line.runs})));
  EXPECT_NE(line.home.world.tickets.at(line.ahead).stage, Stage::waiting);
}

TEST(Placement, GoesWhereNobodyHasToLeave) {
  Home home = affine();
  const DeviceId second = add_device(home.world, {.name = "gpu1"});
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 20});
  home.warm(chat);
  home.happens(ReadingTaken{{.device = second, .taken_at = home.world.now + 1ms, .total = kGiB * 24}});
  const auto image = home.consumer({.name = "image", .devices = {home.gpu, second}, .footprint = kGiB * 12});
  const Effects effects = home.asks(image).second;
  EXPECT_EQ(home.world.registry[image].spec.device, second);
  EXPECT_TRUE(the<Load>(effects));
  EXPECT_FALSE(the<Evict>(effects));
}

}  // namespace
}  // namespace mgpu
