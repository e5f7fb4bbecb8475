// Stories of the line under affinity: who goes before whom, and for how long.
#include "sched/line_order.h"

#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

CoreHarness affinity_harness(std::uint32_t capacity = 1) { return CoreHarness(capacity, Policy::affinity); }

// Two large ones that exclude each other; the first is warm, and computes.
struct TwoConsumersFixture {
  CoreHarness harness = affinity_harness();
  ConsumerId chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  ConsumerId image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  TicketId running_ticket{};
  TwoConsumersFixture() {
    harness.make_warm(chat);
    running_ticket = harness.submit_ticket(chat).first;
  }
};

TEST(Affinity, TheNextOfTheConsumerThatHasTheTurnGoesBeforeAnEarlierColdOne) {
  TwoConsumersFixture fixture;
  const TicketId cold = fixture.harness.submit_ticket(fixture.image).first;
  const TicketId warm = fixture.harness.submit_ticket(fixture.chat).first;
  const Effects effects = fixture.harness.apply_event(LeaseReleased{fixture.running_ticket});
  EXPECT_TRUE(is_granted(effects, warm));
  EXPECT_FALSE(is_granted(effects, cold));
  ASSERT_TRUE(find_effect<Overtook>(effects));
  EXPECT_EQ(find_effect<Overtook>(effects)->overtaken, std::vector{cold});
  EXPECT_EQ(find_effect<Overtook>(effects)->reason, OvertakeReason::same_turn);
}

TEST(Affinity, NobodyPassesTheFirstOnceItHasBorneItsBound) {
  TwoConsumersFixture fixture;
  fixture.harness.world.limits.overtake_limit = 5s;
  fixture.harness.submit_ticket(fixture.image);
  const TicketId second = fixture.harness.submit_ticket(fixture.chat).first;
  const TicketId third = fixture.harness.submit_ticket(fixture.chat).first;
  ASSERT_TRUE(is_granted(fixture.harness.apply_event(LeaseReleased{fixture.running_ticket}), second));
  const Effects late = fixture.harness.apply_event(LeaseReleased{second}, 6s);
  EXPECT_FALSE(is_granted(late, third));
  EXPECT_TRUE(find_effect<Evict>(late)) << "the change for the first begins";
}

TEST(Affinity, TheBoundFollowsWhatTheChangesOfAllWhoWaitCost) {
  TwoConsumersFixture fixture;
  Resident& image = fixture.harness.world.registry[fixture.harness.resident_of(fixture.image)];
  image.costs.load_cold = 20s, image.costs.unload = 1s;
  const TicketId cold = fixture.harness.submit_ticket(fixture.image).first;
  EXPECT_EQ(overtake_bound(fixture.harness.world, fixture.harness.world.tickets.at(cold)), Duration{63s});
  image.costs.load_cold = 1s;
  EXPECT_EQ(overtake_bound(fixture.harness.world, fixture.harness.world.tickets.at(cold)), Duration{10s})
      << "but is never less than ten seconds";
}

TEST(Affinity, TheChangeThatServesMostForItsSecondsWins) {
  CoreHarness harness = affinity_harness();
  const auto now = harness.create_consumer({.name = "now", .footprint = kGiB * 20});
  const auto slow = harness.create_consumer({.name = "slow", .footprint = kGiB * 20});
  const auto quick = harness.create_consumer({.name = "quick", .footprint = kGiB * 20});
  harness.world.registry[harness.resident_of(slow)].costs.load_cold = 60s;
  harness.world.registry[harness.resident_of(quick)].costs.load_cold = 2s;
  harness.make_warm(now);
  const TicketId computes = harness.submit_ticket(now).first;
  harness.submit_ticket(slow);
  const TicketId cheap = harness.submit_ticket(quick).first;
  harness.apply_event(LeaseReleased{computes});
  EXPECT_EQ(harness.world.tickets.at(cheap).stage, TicketStage::preparing);
}

TEST(Affinity, ClassesOrderBeforeArrivalAndAgeUpward) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
  harness.make_warm(chat);
  const TicketId computes = harness.submit_ticket(chat).first;
  const TicketId batch = harness.submit_ticket(chat, TicketRequest{.priority = Priority::batch}).first;
  const TicketId urgent = harness.submit_ticket(chat, TicketRequest{.priority = Priority::realtime}).first;
  EXPECT_EQ(place_in_line(harness.world, urgent), 1U);
  harness.apply_event(Tick{}, harness.world.limits.ageing * 3);
  const TicketId too_late = harness.submit_ticket(chat, TicketRequest{.priority = Priority::realtime}).first;
  EXPECT_LT(place_in_line(harness.world, batch), place_in_line(harness.world, too_late)) << "it has aged";
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{computes}), urgent));
}

TEST(Affinity, OneUsersManyRequestsDoNotHoldUpAnothersSingleOne) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
  harness.world.registry[harness.resident_of(chat)].costs.run = 5s;
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  for (int i = 0; i < 50; ++i) harness.submit_ticket(chat, TicketRequest{.user = 1});
  const TicketId single = harness.submit_ticket(chat, TicketRequest{.user = 2}).first;
  EXPECT_LE(place_in_line(harness.world, single), 3U);
}

TEST(Affinity, ALongTurnEndsForOthersWithItsNextRequest) {
  CoreHarness harness = affinity_harness();
  const auto voice = harness.create_consumer({.name = "voice", .footprint = kGiB * 2});
  const auto coder = harness.create_consumer({.name = "coder", .footprint = kGiB * 4, .max_turn = 10s});
  harness.make_warm(voice), harness.make_warm(coder);
  const TicketId computes = harness.submit_ticket(coder).first;
  const TicketId spoken = harness.submit_ticket(voice).first;
  const TicketId more = harness.submit_ticket(coder).first;
  const Effects effects = harness.apply_event(LeaseReleased{computes}, 11s);
  EXPECT_TRUE(is_granted(effects, spoken));
  EXPECT_FALSE(is_granted(effects, more));
}

TEST(Affinity, AConsumersOwnLineHasALimit) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4, .max_queue = 1});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.submit_ticket(chat);
  const Effects effects = harness.submit_ticket(chat).second;
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::queue_full);
}

TEST(Affinity, ADeadlineThatCannotBeKeptIsRefusedAtOnceWithAnEstimate) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
  harness.world.registry[harness.resident_of(chat)].costs.run = 30s;
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.submit_ticket(chat);
  const Effects effects = harness.submit_ticket(chat, TicketRequest{.deadline = 5s}).second;
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_GT(find_effect<Refuse>(effects)->retry_after, Duration{5s});
}

// Found by the property that nobody starves: twice in half a minute nothing moved for a moment, and that was
// taken for half a minute without room.
TEST(Affinity, WhoIsFirstNowAndThenIsNotRefusedForWantOfRoomThatOthersUse) {
  CoreHarness harness = affinity_harness();
  const auto batch = harness.create_consumer(
      {.name = "batch", .footprint = kGiB * 13, .concurrency = 2, .lease_only = true});
  const TicketRequest urgent{.priority = Priority::realtime}, patient{.priority = Priority::batch};
  const TicketId runs = harness.submit_ticket(batch, urgent).first,
                 next = harness.submit_ticket(batch, urgent).first;
  const TicketId waits = harness.submit_ticket(batch, patient).first;
  harness.apply_event(LeaseReleased{runs});  // `next` waits for a reading, `waits` is first
  const TicketId last = harness.submit_ticket(batch, urgent).first;
  harness.report_reading();
  ASSERT_EQ(harness.world.tickets.at(next).stage, TicketStage::running);
  harness.apply_event(LeaseReleased{next}, 31s);
  ASSERT_EQ(harness.world.tickets.at(last).stage, TicketStage::preparing);
  EXPECT_TRUE(harness.world.tickets.contains(waits));
}

TEST(LoadAhead, TheNextConsumerLoadsWhileAnotherComputesIfBothFit) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat);
  const TicketId computes = harness.submit_ticket(chat).first;
  harness.report_reading();
  const auto [ticket, effects] = harness.submit_ticket(image);
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_FALSE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(image)}), ticket))
      << "its turn has not come";
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{computes}), ticket));
}

TEST(LoadAhead, NobodyLeavesForItWhomOthersWaitFor) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 8});
  const auto wanted = harness.create_consumer({.name = "wanted", .footprint = kGiB * 8});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat), harness.make_warm(wanted);
  harness.submit_ticket(chat);
  harness.submit_ticket(wanted);
  harness.report_reading();
  const Effects effects = harness.submit_ticket(image).second;
  EXPECT_FALSE(find_effect<Evict>(effects));
  EXPECT_TRUE(find_effect<ReadAhead>(effects)) << "but its weights may come into the page cache";
}

TEST(LoadAhead, IsGivenUpWithItsTicketAndMayLeaveThen) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.report_reading();
  const TicketId ahead = harness.submit_ticket(image).first;
  harness.apply_event(LoadEnded{harness.resident_of(image)});
  harness.apply_event(TicketCancelled{ahead});
  EXPECT_TRUE(check_eviction(harness.world, harness.resident_of(image), false));
}

// Found by the property that nobody starves: the first was refused for want of room after half a minute,
// beside an idle device. Its room was kept for one that had been loaded ahead and might not go, since its
// consumer had had its turn.
TEST(LoadAhead, GoesEvenWhenItsConsumerHasHadItsTurnIfTheFirstNeedsItsRoom) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .max_turn = 1ms});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 14});
  harness.make_warm(image);
  const TicketId runs = harness.submit_ticket(chat).first;  // image leaves for it
  const TicketId ahead = harness.submit_ticket(chat).first;
  ASSERT_TRUE(harness.world.tickets.at(ahead).has_claim);
  const TicketId first = harness.submit_ticket(image, TicketRequest{.priority = Priority::realtime}).first;
  harness.apply_event(RungEnded{harness.resident_of(image), Rung::stop, {}});
  harness.report_reading();
  ASSERT_TRUE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(chat)}), runs));
  harness.report_reading();
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{runs}), ahead));
  harness.apply_event(LeaseReleased{ahead});
  EXPECT_EQ(harness.world.tickets.at(first).stage, TicketStage::preparing);
}

// Likewise: a more urgent one of the same consumer came, for another AI model, and both stood still.
TEST(LoadAhead, GoesBeforeAMoreUrgentOneOfItsConsumerThatNeedsItsRoom) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .can_unload = true});
  const ResidentId other = add_resident(harness.world.registry, chat, "other", kGiB * 14);
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 4});
  harness.make_warm(image);
  const TicketId computes = harness.submit_ticket(image).first;
  const TicketId ahead = harness.submit_ticket(chat).first;
  ASSERT_TRUE(harness.world.tickets.at(ahead).has_claim);
  const TicketId urgent{++harness.last_ticket};
  harness.apply_event(TicketArrived{
      urgent, {.device = harness.gpu, .consumer = chat, .resident = other, .priority = Priority::realtime}});
  harness.apply_event(LoadEnded{harness.resident_of(chat)});
  harness.report_reading();
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{computes}), ahead));
}

// A lease of chat runs, the next of chat has its resident loaded ahead, and the first of the line, due before
// both, has borne its bound: it needs the room that the claim keeps.
struct ClaimFixture {
  CoreHarness harness = affinity_harness(2);
  ConsumerId chat =
      harness.create_consumer({.name = "chat", .footprint = kGiB * 6, .working = kGiB, .can_unload = true});
  ResidentId other = add_resident(harness.world.registry, chat, "other", kGiB * 12);
  ConsumerId small = harness.create_consumer({.name = "small", .footprint = kGiB});
  ConsumerId image = harness.create_consumer({.name = "image", .footprint = kGiB * 20});
  TicketId running_ticket{}, claiming_ticket{}, first_ticket{};

  ClaimFixture() { harness.world.limits.overtake_limit = 1s; }

  // `needed`: by the next ticket of chat. It may be what the lease runs on, while room is made for that.
  void start_chat_lease(ResidentId needed) {
    const auto leaves = harness.create_consumer({.name = "leaves", .footprint = kGiB * 18});
    harness.make_warm(small), harness.make_warm(leaves);
    const TicketId computes = harness.submit_ticket(small).first;
    running_ticket = harness.submit_ticket(chat).first;
    const bool same = needed == harness.resident_of(chat);
    if (same) submit_claiming_ticket(needed);
    harness.apply_event(RungEnded{harness.resident_of(leaves), Rung::stop, {}});
    harness.report_reading();
    harness.apply_event(LoadEnded{harness.resident_of(chat)});
    harness.report_reading();
    if (!same) {
      submit_claiming_ticket(needed);
      harness.apply_event(LoadEnded{needed});
      harness.report_reading();
    }
    first_ticket = harness.submit_ticket(image, TicketRequest{.priority = Priority::realtime}).first;
    const TicketId passes = harness.submit_ticket(small).first;
    ASSERT_TRUE(is_granted(harness.apply_event(LeaseReleased{computes}), passes));
    harness.apply_event(LeaseReleased{passes}, 2s);
    harness.report_reading();
    ASSERT_EQ(harness.world.tickets.at(running_ticket).stage, TicketStage::running);
    ASSERT_TRUE(harness.world.tickets.at(claiming_ticket).has_claim);
    ASSERT_EQ(place_in_line(harness.world, first_ticket), 1U);
  }

 private:
  void submit_claiming_ticket(ResidentId needed) {
    claiming_ticket = {++harness.last_ticket};
    harness.apply_event(
        TicketArrived{claiming_ticket, {.device = harness.gpu, .consumer = chat, .resident = needed}});
  }
};

// Found by seed 42372 of the simulation.
TEST(LoadAhead, GoesNotBeforeAFormerOneOfItsConsumerThatRanOutOfMemory) {
  ClaimFixture fixture;
  fixture.start_chat_lease(fixture.harness.resident_of(fixture.chat));
  ASSERT_TRUE(find_effect<Requeued>(fixture.harness.apply_event(OutOfMemorySeen{fixture.running_ticket})));
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.first_ticket).stage, TicketStage::preparing);
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.running_ticket).stage, TicketStage::waiting);
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.claiming_ticket).stage, TicketStage::waiting);
  EXPECT_LT(place_in_line(fixture.harness.world, fixture.running_ticket),
            place_in_line(fixture.harness.world, fixture.claiming_ticket));
}

TEST(LoadAhead, OfAnotherAiModelGoesNotBeforeAFormerOneThatRanOutOfMemory) {
  ClaimFixture fixture;
  fixture.start_chat_lease(fixture.other);
  ASSERT_TRUE(find_effect<Requeued>(fixture.harness.apply_event(OutOfMemorySeen{fixture.running_ticket})));
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.first_ticket).stage, TicketStage::preparing);
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.claiming_ticket).stage, TicketStage::waiting);
}

TEST(LoadAhead, KeepsItsResidentIfAFormerOneRunsOutOfMemoryForGood) {
  ClaimFixture fixture;
  fixture.start_chat_lease(fixture.other);
  fixture.harness.world.registry[fixture.harness.resident_of(fixture.chat)].footprint =
      kGiB * 23;  // all there is
  ASSERT_TRUE(find_effect<Refuse>(fixture.harness.apply_event(OutOfMemorySeen{fixture.running_ticket})));
  EXPECT_NE(fixture.harness.world.tickets.at(fixture.claiming_ticket).stage, TicketStage::waiting);
}

TEST(Placement, GoesWhereNobodyHasToLeave) {
  CoreHarness harness = affinity_harness();
  const DeviceId second = add_device(harness.world, {.name = "gpu1"});
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 20});
  harness.make_warm(chat);
  harness.apply_event(
      ReadingTaken{{.device = second, .taken_at = harness.world.now + 1ms, .total = kGiB * 24}});
  const auto image =
      harness.create_consumer({.name = "image", .devices = {harness.gpu, second}, .footprint = kGiB * 12});
  const Effects effects = harness.submit_ticket(image).second;
  EXPECT_EQ(harness.world.registry[image].spec.device, second);
  EXPECT_TRUE(find_effect<Load>(effects));
  EXPECT_FALSE(find_effect<Evict>(effects));
}

}  // namespace
}  // namespace mgpu
