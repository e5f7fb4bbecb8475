// Tests of the line under affinity: which ticket is served before which, and for how long.
#include "sched/line_order.h"

#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

CoreHarness affinity_harness(std::uint32_t capacity = 1) { return CoreHarness(capacity, Policy::affinity); }

// Two consumers that do not fit together; the first is warm and has a running lease.
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

TEST(Affinity, TheNextTicketOfTheTurnHolderOvertakesAnEarlierColdOne) {
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

TEST(Affinity, TheFirstTicketIsNotOvertakenPastItsBound) {
  TwoConsumersFixture fixture;
  fixture.harness.world.limits.overtake_limit = 5s;
  fixture.harness.submit_ticket(fixture.image);
  const TicketId second = fixture.harness.submit_ticket(fixture.chat).first;
  const TicketId third = fixture.harness.submit_ticket(fixture.chat).first;
  ASSERT_TRUE(is_granted(fixture.harness.apply_event(LeaseReleased{fixture.running_ticket}), second));
  const Effects late = fixture.harness.apply_event(LeaseReleased{second}, 6s);
  EXPECT_FALSE(is_granted(late, third));
  EXPECT_TRUE(find_effect<Evict>(late)) << "the change of residents for the first ticket begins";
}

TEST(Affinity, TheOvertakeBoundDependsOnTheCostsOfAllWaitingChanges) {
  TwoConsumersFixture fixture;
  Resident& image = fixture.harness.world.registry[fixture.harness.resident_of(fixture.image)];
  image.costs.load_cold = 20s, image.costs.unload = 1s;
  const TicketId cold = fixture.harness.submit_ticket(fixture.image).first;
  EXPECT_EQ(overtake_bound(fixture.harness.world, fixture.harness.world.tickets.at(cold)), Duration{63s});
  image.costs.load_cold = 1s;
  EXPECT_EQ(overtake_bound(fixture.harness.world, fixture.harness.world.tickets.at(cold)), Duration{10s})
      << "it is never less than ten seconds";
}

TEST(Affinity, TheChangeWithTheHighestBenefitIsChosen) {
  CoreHarness harness = affinity_harness();
  const auto now = harness.create_consumer({.name = "now", .footprint = kGiB * 20});
  const auto slow = harness.create_consumer({.name = "slow", .footprint = kGiB * 20});
  const auto quick = harness.create_consumer({.name = "quick", .footprint = kGiB * 20});
  harness.world.registry[harness.resident_of(slow)].costs.load_cold = 60s;
  harness.world.registry[harness.resident_of(quick)].costs.load_cold = 2s;
  harness.make_warm(now);
  const TicketId running = harness.submit_ticket(now).first;
  harness.submit_ticket(slow);
  const TicketId cheap = harness.submit_ticket(quick).first;
  harness.apply_event(LeaseReleased{running});
  EXPECT_EQ(harness.world.tickets.at(cheap).stage, TicketStage::preparing);
}

TEST(Affinity, PriorityOrdersBeforeArrivalUntilATicketHasAged) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
  harness.make_warm(chat);
  const TicketId running = harness.submit_ticket(chat).first;
  const TicketId batch = harness.submit_ticket(chat, TicketRequest{.priority = Priority::batch}).first;
  const TicketId urgent = harness.submit_ticket(chat, TicketRequest{.priority = Priority::realtime}).first;
  EXPECT_EQ(place_in_line(harness.world, urgent), 1U);
  harness.apply_event(Tick{}, harness.world.limits.ageing * 3);
  const TicketId late = harness.submit_ticket(chat, TicketRequest{.priority = Priority::realtime}).first;
  EXPECT_LT(place_in_line(harness.world, batch), place_in_line(harness.world, late)) << "it has aged";
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{running}), urgent));
}

TEST(Affinity, ManyTicketsOfOneUserDoNotDelayASingleOneOfAnother) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
  harness.world.registry[harness.resident_of(chat)].costs.run = 5s;
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  for (int i = 0; i < 50; ++i) harness.submit_ticket(chat, TicketRequest{.user = 1});
  const TicketId single = harness.submit_ticket(chat, TicketRequest{.user = 2}).first;
  EXPECT_LE(place_in_line(harness.world, single), 3U);
}

TEST(Affinity, AfterMaxTurnOtherConsumersAreServedFirst) {
  CoreHarness harness = affinity_harness();
  const auto voice = harness.create_consumer({.name = "voice", .footprint = kGiB * 2});
  const auto coder = harness.create_consumer({.name = "coder", .footprint = kGiB * 4, .max_turn = 10s});
  harness.make_warm(voice), harness.make_warm(coder);
  const TicketId running = harness.submit_ticket(coder).first;
  const TicketId other = harness.submit_ticket(voice).first;
  const TicketId next = harness.submit_ticket(coder).first;
  const Effects effects = harness.apply_event(LeaseReleased{running}, 11s);
  EXPECT_TRUE(is_granted(effects, other));
  EXPECT_FALSE(is_granted(effects, next));
}

TEST(Affinity, MaxQueueLimitsTheTicketsOfAConsumer) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4, .max_queue = 1});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.submit_ticket(chat);
  const Effects effects = harness.submit_ticket(chat).second;
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::queue_full);
}

TEST(Affinity, ATicketThatCannotMeetItsDeadlineIsRefusedAtOnceWithAnEstimate) {
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

// Found by the starvation property test: two short moments without progress, half a minute apart, were taken
// for half a minute without room.
TEST(Affinity, ATicketThatIsFirstFromTimeToTimeIsNotRefusedWhileOthersUseTheRoom) {
  CoreHarness harness = affinity_harness();
  const auto batch = harness.create_consumer(
      {.name = "batch", .footprint = kGiB * 13, .concurrency = 2, .lease_only = true});
  const TicketRequest urgent{.priority = Priority::realtime}, patient{.priority = Priority::batch};
  const TicketId running = harness.submit_ticket(batch, urgent).first,
                 next = harness.submit_ticket(batch, urgent).first;
  const TicketId waiting = harness.submit_ticket(batch, patient).first;
  harness.apply_event(LeaseReleased{running});  // `next` waits for a reading, `waiting` is first
  const TicketId last = harness.submit_ticket(batch, urgent).first;
  harness.report_reading();
  ASSERT_EQ(harness.world.tickets.at(next).stage, TicketStage::running);
  harness.apply_event(LeaseReleased{next}, 31s);
  ASSERT_EQ(harness.world.tickets.at(last).stage, TicketStage::preparing);
  EXPECT_TRUE(harness.world.tickets.contains(waiting));
}

TEST(LoadAhead, TheNextConsumerLoadsWhileAnotherRunsIfBothFit) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat);
  const TicketId running = harness.submit_ticket(chat).first;
  harness.report_reading();
  const auto [ticket, effects] = harness.submit_ticket(image);
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_FALSE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(image)}), ticket))
      << "its turn has not come";
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{running}), ticket));
}

TEST(LoadAhead, EvictsNoResidentThatOthersWaitFor) {
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
  EXPECT_TRUE(find_effect<ReadAhead>(effects)) << "its files may be read into the page cache";
}

TEST(LoadAhead, TheResidentMayBeEvictedWhenItsTicketIsCancelled) {
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

// Found by the starvation property test: the first ticket was refused with no_room while the device was idle.
// Its room was held by a resident that was loaded ahead, whose ticket was not served because of max_turn.
TEST(LoadAhead, TheTicketIsServedPastMaxTurnIfTheFirstTicketNeedsItsRoom) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .max_turn = 1ms});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 14});
  harness.make_warm(image);
  const TicketId running = harness.submit_ticket(chat).first;  // image is evicted for it
  const TicketId ahead = harness.submit_ticket(chat).first;
  ASSERT_TRUE(harness.world.tickets.at(ahead).has_claim);
  const TicketId first = harness.submit_ticket(image, TicketRequest{.priority = Priority::realtime}).first;
  harness.apply_event(RungEnded{harness.resident_of(image), Rung::stop, {}});
  harness.report_reading();
  ASSERT_TRUE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(chat)}), running));
  harness.report_reading();
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{running}), ahead));
  harness.apply_event(LeaseReleased{ahead});
  EXPECT_EQ(harness.world.tickets.at(first).stage, TicketStage::preparing);
}

// Likewise: a more urgent ticket of the same consumer, for another AI model, arrived, and neither was served.
TEST(LoadAhead, TheTicketIsServedBeforeAMoreUrgentOneThatNeedsItsRoom) {
  CoreHarness harness = affinity_harness();
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .can_unload = true});
  const ResidentId other = add_resident(harness.world.registry, chat, "other", kGiB * 14);
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 4});
  harness.make_warm(image);
  const TicketId running = harness.submit_ticket(image).first;
  const TicketId ahead = harness.submit_ticket(chat).first;
  ASSERT_TRUE(harness.world.tickets.at(ahead).has_claim);
  const TicketId urgent{++harness.last_ticket};
  harness.apply_event(TicketArrived{
      urgent, {.device = harness.gpu, .consumer = chat, .resident = other, .priority = Priority::realtime}});
  harness.apply_event(LoadEnded{harness.resident_of(chat)});
  harness.report_reading();
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{running}), ahead));
}

// A lease of chat runs; the resident of chat's next ticket was loaded ahead. The first ticket of the line is
// due before both, is past its overtake bound, and needs the room that the claim holds.
struct ClaimFixture {
  CoreHarness harness = affinity_harness(2);
  ConsumerId chat =
      harness.create_consumer({.name = "chat", .footprint = kGiB * 6, .working = kGiB, .can_unload = true});
  ResidentId other = add_resident(harness.world.registry, chat, "other", kGiB * 12);
  ConsumerId small = harness.create_consumer({.name = "small", .footprint = kGiB});
  ConsumerId image = harness.create_consumer({.name = "image", .footprint = kGiB * 20});
  TicketId running_ticket{}, claiming_ticket{}, first_ticket{};

  ClaimFixture() {
    harness.world.limits.overtake_limit = 1s;
    harness.world.registry[other].costs.loads = 1;  // it may be loaded ahead
  }

  // `claimed`: the resident of chat's next ticket; it may be the one that the lease runs on.
  void start_chat_lease(ResidentId claimed) {
    const auto evicted = harness.create_consumer({.name = "evicted", .footprint = kGiB * 18});
    harness.make_warm(small), harness.make_warm(evicted);
    const TicketId running = harness.submit_ticket(small).first;
    running_ticket = harness.submit_ticket(chat).first;
    const bool is_same_resident = claimed == harness.resident_of(chat);
    if (is_same_resident) submit_claiming_ticket(claimed);
    harness.apply_event(RungEnded{harness.resident_of(evicted), Rung::stop, {}});
    harness.report_reading();
    harness.apply_event(LoadEnded{harness.resident_of(chat)});
    harness.report_reading();
    if (!is_same_resident) {
      submit_claiming_ticket(claimed);
      harness.apply_event(LoadEnded{claimed});
      harness.report_reading();
    }
    first_ticket = harness.submit_ticket(image, TicketRequest{.priority = Priority::realtime}).first;
    const TicketId overtaking = harness.submit_ticket(small).first;
    ASSERT_TRUE(is_granted(harness.apply_event(LeaseReleased{running}), overtaking));
    harness.apply_event(LeaseReleased{overtaking}, 2s);
    harness.report_reading();
    ASSERT_EQ(harness.world.tickets.at(running_ticket).stage, TicketStage::running);
    ASSERT_TRUE(harness.world.tickets.at(claiming_ticket).has_claim);
    ASSERT_EQ(place_in_line(harness.world, first_ticket), 1U);
  }

 private:
  void submit_claiming_ticket(ResidentId claimed) {
    claiming_ticket = {++harness.last_ticket};
    harness.apply_event(
        TicketArrived{claiming_ticket, {.device = harness.gpu, .consumer = chat, .resident = claimed}});
  }
};

// Found by seed 42372 of the simulator.
TEST(LoadAhead, TheTicketDoesNotOvertakeARequeuedOneOfItsConsumer) {
  ClaimFixture fixture;
  fixture.start_chat_lease(fixture.harness.resident_of(fixture.chat));
  ASSERT_TRUE(find_effect<Requeued>(fixture.harness.apply_event(OutOfMemorySeen{fixture.running_ticket})));
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.first_ticket).stage, TicketStage::preparing);
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.running_ticket).stage, TicketStage::waiting);
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.claiming_ticket).stage, TicketStage::waiting);
  EXPECT_LT(place_in_line(fixture.harness.world, fixture.running_ticket),
            place_in_line(fixture.harness.world, fixture.claiming_ticket));
}

TEST(LoadAhead, ATicketForAnotherAiModelDoesNotOvertakeARequeuedOneOfItsConsumer) {
  ClaimFixture fixture;
  fixture.start_chat_lease(fixture.other);
  ASSERT_TRUE(find_effect<Requeued>(fixture.harness.apply_event(OutOfMemorySeen{fixture.running_ticket})));
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.first_ticket).stage, TicketStage::preparing);
  EXPECT_EQ(fixture.harness.world.tickets.at(fixture.claiming_ticket).stage, TicketStage::waiting);
}

TEST(LoadAhead, TheClaimStaysIfAnEarlierTicketIsRefusedForOutOfMemory) {
  ClaimFixture fixture;
  fixture.start_chat_lease(fixture.other);
  const ResidentId resident = fixture.harness.resident_of(fixture.chat);
  fixture.harness.world.registry[resident].footprint =
      kGiB * 23;  // with its working memory: all of the device
  ASSERT_TRUE(find_effect<Refuse>(fixture.harness.apply_event(OutOfMemorySeen{fixture.running_ticket})));
  EXPECT_NE(fixture.harness.world.tickets.at(fixture.claiming_ticket).stage, TicketStage::waiting);
}

TEST(Placement, PrefersADeviceWithoutEvictions) {
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
