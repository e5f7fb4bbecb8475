// Tests of step: a small world, one event, and the effects that must follow.
#include "sched/step.h"

#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

using namespace std::chrono_literals;

TEST(Step, AttributesBytesMeasuredEarlierToAResidentThatIsFoundWarm) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  harness.apply_event(ReadingTaken{{.device = harness.gpu,
                                    .taken_at = harness.world.now + 1ms,
                                    .total = kGiB * 24,
                                    .consumers = {{chat, kGiB * 14}}}});
  const Effects effects = harness.apply_event(ResidentFound{harness.resident_of(chat), Presence::warm});
  EXPECT_FALSE(find_effect<Evict>(effects)) << "its bytes count once";
  EXPECT_EQ(headroom(harness.world.registry, harness.gpu), kGiB * 10);
}

TEST(Step, NothingIsEvictedBeforeTheFirstReading) {
  World world;
  const DeviceId gpu = add_device(world, {.name = "gpu0", .reserve = kGiB});
  const auto chat = add_consumer(world.registry, {.name = "chat", .device = gpu, .can_stop = true});
  const ResidentId adopted = add_resident(world.registry, chat, "", kGiB * 4);
  EXPECT_FALSE(
      find_effect<Evict>(step(world, {.at = {1}, .payload = ResidentFound{adopted, Presence::warm}})));
}

TEST(Step, UsesTheMemoryOfAnEndedJobOnlyWhenAReadingShowsItFree) {
  CoreHarness harness;
  const auto tight = harness.create_consumer({.name = "tight", .footprint = kGiB * 20, .working = kGiB * 3});
  harness.make_warm(tight);
  const TicketId first = harness.submit_ticket(tight).first;
  const TicketId second = harness.submit_ticket(tight).first;
  const Effects released = harness.apply_event(LeaseReleased{first});
  EXPECT_FALSE(is_granted(released, second));
  EXPECT_TRUE(find_effect<TakeReading>(released));
  EXPECT_TRUE(is_granted(harness.report_reading(), second));
}

TEST(Step, LoadsAColdConsumerAndGrantsWhenItIsWarm) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .working = kGiB});
  const auto [ticket, effects] = harness.submit_ticket(chat);
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_FALSE(is_granted(effects, ticket));
  EXPECT_TRUE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(chat)}), ticket));
}

TEST(Step, LoadsOnlyWhenAReadingShowsTheEvictedMemoryFree) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat);
  const auto [ticket, effects] = harness.submit_ticket(image);
  ASSERT_TRUE(find_effect<Evict>(effects));
  EXPECT_EQ(find_effect<Evict>(effects)->rung, Rung::stop);
  const auto answered = harness.apply_event(RungEnded{harness.resident_of(chat), Rung::stop, {}});
  EXPECT_TRUE(find_effect<TakeReading>(answered)) << "the answer does not prove that the memory is free";
  EXPECT_FALSE(find_effect<Load>(answered));
  const auto seen = harness.report_reading();
  EXPECT_TRUE(find_effect<Evicted>(seen));
  EXPECT_TRUE(find_effect<Load>(seen));
}

TEST(Step, ClimbsTheLadderWhenTheMemoryDoesNotComeFree) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .stop_limit = 5s});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat);
  harness.submit_ticket(image);
  const auto next = harness.apply_event(Tick{}, 6s);
  ASSERT_TRUE(find_effect<Evict>(next));
  EXPECT_EQ(find_effect<Evict>(next)->rung, Rung::kill);
  harness.apply_event(RungEnded{harness.resident_of(chat), Rung::kill, {}});
  harness.world.registry[chat].primary_usage.measured = kGiB * 14;  // the dead process's memory is still used
  const auto given_up = harness.apply_event(Tick{}, 6s);
  EXPECT_TRUE(find_effect<EvictionFailed>(given_up));
  EXPECT_FALSE(find_effect<Load>(given_up)) << "no reading has shown the memory free";
}

TEST(Step, FifoServesOneConsumerAtATimeInOrderOfArrival) {
  CoreHarness harness;
  const auto stt = harness.create_consumer({.name = "stt", .footprint = kGiB * 2});
  const auto tts = harness.create_consumer({.name = "tts", .footprint = kGiB * 2});
  harness.make_warm(stt), harness.make_warm(tts);
  const auto [first, e1] = harness.submit_ticket(stt);
  const auto [second, e2] = harness.submit_ticket(tts);
  const auto [third, e3] = harness.submit_ticket(stt);
  EXPECT_TRUE(is_granted(e1, first));
  EXPECT_FALSE(is_granted(e2, second));
  EXPECT_EQ(place_in_line(harness.world, third), 2U);
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{first}), second));
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{second}), third));
}

TEST(Step, TicketsOfOneTurnRunConcurrentlyButDoNotOvertakeTheHead) {
  CoreHarness harness;
  const auto chat =
      harness.create_consumer({.name = "chat", .footprint = kGiB * 4, .working = kGiB, .concurrency = 2});
  const auto tts = harness.create_consumer({.name = "tts", .footprint = kGiB * 2});
  harness.make_warm(chat), harness.make_warm(tts);
  const auto [a, e1] = harness.submit_ticket(chat);
  const auto [b, e2] = harness.submit_ticket(chat);
  const auto [c, e3] = harness.submit_ticket(tts);
  const auto [d, e4] = harness.submit_ticket(chat);
  EXPECT_TRUE(is_granted(e1, a) && is_granted(e2, b));
  EXPECT_TRUE(harness.apply_event(LeaseReleased{a}).empty()) << "d may not overtake c";
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{b}), c));
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{c}), d));
}

TEST(Step, CapacityTwoRunsConsumersSideBySideOnlyIfTheyFit) {
  CoreHarness harness{2};
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  const auto tts = harness.create_consumer({.name = "tts", .footprint = kGiB * 4});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat), harness.make_warm(tts);
  const auto [a, e1] = harness.submit_ticket(chat);
  const auto [b, e2] = harness.submit_ticket(tts);
  EXPECT_TRUE(is_granted(e1, a) && is_granted(e2, b));
  harness.apply_event(LeaseReleased{b});
  const auto [c, e3] = harness.submit_ticket(image);
  EXPECT_FALSE(find_effect<Evict>(e3)) << "evicting tts alone would not be enough";
  EXPECT_TRUE(find_effect<Evict>(harness.apply_event(LeaseReleased{a})));
}

TEST(Step, ATurnlessConsumerNeedsNoTurn) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  const auto embed = harness.create_consumer({.name = "embed", .footprint = kGiB, .turnless = true});
  harness.make_warm(chat), harness.make_warm(embed);
  harness.submit_ticket(chat);
  const auto [ticket, effects] = harness.submit_ticket(embed);
  EXPECT_TRUE(is_granted(effects, ticket));
}

TEST(Step, AnExclusiveConsumerNeverSharesTheDevice) {
  CoreHarness harness{2};
  const auto train = harness.create_consumer({.name = "train", .footprint = kGiB, .exclusive = true});
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  harness.make_warm(train), harness.make_warm(chat);
  const auto [a, e1] = harness.submit_ticket(chat);
  const auto [b, e2] = harness.submit_ticket(train);
  EXPECT_FALSE(is_granted(e2, b));
  EXPECT_TRUE(is_granted(harness.apply_event(LeaseReleased{a}), b));
  const auto [c, e3] = harness.submit_ticket(chat);
  EXPECT_FALSE(is_granted(e3, c));
}

// The shell rejects such limits; the core must not overflow on them either.
TEST(Step, LimitsThatWouldOverflowAreNeverDue) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    CoreHarness harness(1, policy);
    SchedulingLimits& limits = harness.world.limits;
    limits.wait_limit = limits.room_limit = limits.retry_backoff_first = limits.retry_backoff_max =
        limits.reading_age = limits.overtake_limit = limits.ageing = Duration::max();
    const auto chat = harness.create_consumer({.name = "chat",
                                               .footprint = kGiB * 14,
                                               .max_turn = Duration::max(),
                                               .idle_unload = Duration::max(),
                                               .load_limit = Duration::max(),
                                               .stop_limit = Duration::max()});
    const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 14});
    harness.make_warm(chat);
    const TicketId holder = harness.submit_ticket(chat).first;
    for (const ConsumerId consumer : {chat, image, chat})
      harness.submit_ticket(
          consumer, TicketRequest{.wait_limit = Duration::max(), .user = 1, .deadline = Duration::max()});
    EXPECT_EQ(harness.world.tickets.size(), 4U);
    for (int i = 0; i < 3; ++i) {
      EXPECT_GT(next_wakeup(harness.world), harness.world.now + 1h);
      harness.apply_event(Tick{}, 10min);
    }
    EXPECT_EQ(harness.world.tickets.size(), 4U);
    harness.apply_event(LeaseReleased{holder});
    EXPECT_GT(next_wakeup(harness.world), harness.world.now);
  }
}

TEST(Step, ABareLeaseReservesItsBytes) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  harness.make_warm(chat);
  const auto effects =
      harness.apply_event(TicketArrived{TicketId{100}, {.device = harness.gpu, .bytes = kGiB * 20}});
  EXPECT_TRUE(find_effect<Evict>(effects));
  harness.apply_event(RungEnded{harness.resident_of(chat), Rung::stop, {}});
  EXPECT_TRUE(is_granted(harness.report_reading(), TicketId{100}));
  EXPECT_EQ(headroom(harness.world.registry, harness.gpu), kGiB * 4);
  harness.apply_event(LeaseReleased{TicketId{100}});
  EXPECT_EQ(headroom(harness.world.registry, harness.gpu), kGiB * 24);
}

TEST(Step, RefusesAtOnceWhatNeverFitsAndSaysHowMuchIsMissing) {
  CoreHarness harness;
  const auto big = harness.create_consumer({.name = "big", .footprint = kGiB * 30});
  const auto [ticket, effects] = harness.submit_ticket(big);
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::never_fits);
  EXPECT_NE(find_effect<Refuse>(effects)->error.detail.find("6.0 GiB missing"), std::string::npos);
}

TEST(Step, RefusesATicketIfTheLineIsFull) {
  CoreHarness harness;
  harness.world.limits.max_queue = 1;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.submit_ticket(chat);
  const auto [ticket, effects] = harness.submit_ticket(chat);
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::queue_full);
  EXPECT_GT(find_effect<Refuse>(effects)->retry_after, Duration{0});
}

TEST(Step, RefusesATicketAfterItsWaitLimit) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  const auto [ticket, waits] = harness.submit_ticket(chat, 2s);
  EXPECT_EQ(next_wakeup(harness.world), harness.world.tickets.at(ticket).expires_at);
  const auto effects = harness.apply_event(Tick{}, 2s);
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::wait_limit);
}

TEST(Step, ATicketCancelledDuringItsLoadLeavesNoState) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  const auto [ticket, effects] = harness.submit_ticket(chat);
  harness.apply_event(TicketCancelled{ticket});
  EXPECT_TRUE(harness.world.tickets.empty());
  EXPECT_TRUE(harness.world.lines[0].turns.empty());
  harness.apply_event(LoadEnded{harness.resident_of(chat)});
  EXPECT_EQ(harness.state_of(chat), Residency::warm);
}

TEST(Step, AFailedLoadRefusesItsTicketsAndDoublesTheBackoff) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  harness.submit_ticket(chat);
  const auto failed =
      harness.apply_event(LoadEnded{harness.resident_of(chat), fail(ErrorCode::load_failed, "exit code 1")});
  harness.report_reading();
  ASSERT_TRUE(find_effect<Refuse>(failed));
  EXPECT_EQ(find_effect<Refuse>(failed)->error.detail, "exit code 1");
  EXPECT_EQ(find_effect<Refuse>(failed)->retry_after, Duration{1s});
  const auto [early, refused] = harness.submit_ticket(chat);
  EXPECT_TRUE(find_effect<Refuse>(refused)) << "the backoff is not over";
  harness.apply_event(Tick{}, 1s);
  harness.report_reading();
  const auto [again, retried] = harness.submit_ticket(chat);
  EXPECT_TRUE(find_effect<Load>(retried));
  const auto failed_again =
      harness.apply_event(LoadEnded{harness.resident_of(chat), fail(ErrorCode::load_failed, "exit code 1")});
  EXPECT_EQ(find_effect<Refuse>(failed_again)->retry_after, Duration{2s});
}

TEST(Step, ACrashEndsTheLeaseAndTheNextTicketReloads) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  harness.make_warm(chat);
  const auto [running, e1] = harness.submit_ticket(chat);
  const auto [next, e2] = harness.submit_ticket(chat);
  const auto lost = harness.apply_event(ServiceLost{chat, {ErrorCode::service_down, "killed by signal 9"}});
  ASSERT_TRUE(find_effect<EndLease>(lost));
  EXPECT_EQ(find_effect<EndLease>(lost)->ticket, running);
  EXPECT_FALSE(find_effect<Load>(lost)) << "its memory is unknown until a reading";
  EXPECT_TRUE(find_effect<Load>(harness.report_reading()));
}

TEST(Step, IdleResidentsMakeRoomWhenForeignMemoryGrows) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  harness.make_warm(chat);
  harness.foreign = kGiB * 12;
  const auto effects = harness.report_reading();
  ASSERT_TRUE(find_effect<Planned>(effects));
  EXPECT_EQ(find_effect<Planned>(effects)->reason, PlanReason::pressure);
}

TEST(Step, RefusesATicketBlockedByForeignMemoryAfterRoomLimit) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14});
  harness.foreign = kGiB * 12;
  harness.report_reading();
  const auto [ticket, effects] = harness.submit_ticket(chat);
  EXPECT_TRUE(effects.empty());
  EXPECT_LE(next_wakeup(harness.world), harness.world.now + harness.world.limits.room_limit);
  const auto refused = harness.apply_event(Tick{}, 30s);
  ASSERT_TRUE(find_effect<Refuse>(refused));
  EXPECT_EQ(find_effect<Refuse>(refused)->error.code, ErrorCode::no_room);
}

TEST(Step, APinnedConsumerIsNotEvicted) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .pinned = true});
  const auto image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});
  harness.make_warm(chat);
  const auto [ticket, effects] = harness.submit_ticket(image);
  EXPECT_FALSE(find_effect<Evict>(effects));
}

TEST(Step, AnIdleResidentIsEvictedAfterIdleUnload) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB, .idle_unload = 15min});
  harness.make_warm(chat);
  EXPECT_EQ(next_wakeup(harness.world), harness.world.registry[harness.resident_of(chat)].last_used + 15min);
  EXPECT_TRUE(find_effect<Evict>(harness.apply_event(Tick{}, 15min)));
}

TEST(Step, ALoadStartsOnlyOnAFreshReading) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  harness.apply_event(Tick{}, 1min);
  const auto [ticket, effects] = harness.submit_ticket(chat);
  EXPECT_TRUE(find_effect<TakeReading>(effects));
  EXPECT_FALSE(find_effect<Load>(effects));
  EXPECT_TRUE(find_effect<Load>(harness.report_reading()));
}

TEST(Step, EachDeviceHasItsOwnLine) {
  CoreHarness harness;
  const auto second = add_device(harness.world, {.name = "gpu1"});
  harness.apply_event(ReadingTaken{{.device = second, .taken_at = harness.world.now, .total = kGiB * 24}});
  const auto a = harness.create_consumer({.name = "a", .footprint = kGiB});
  harness.make_warm(a);
  harness.submit_ticket(a);
  const auto effects = harness.apply_event(TicketArrived{TicketId{50}, {.device = second, .bytes = kGiB}});
  EXPECT_TRUE(is_granted(effects, TicketId{50}));
}

// Found by seed 146326 of the simulator.
TEST(Step, MemoryLeftByAFailedEvictionIsNotLearnedAsTheFootprint) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10, .can_unload = true});
  harness.world.registry[chat].spec.can_stop = false;
  const ResidentId resident = harness.resident_of(chat);
  const auto report_measured = [&](Bytes bytes) {
    return harness.apply_event(ReadingTaken{{.device = harness.gpu,
                                             .taken_at = harness.world.now + 1ms,
                                             .total = kGiB * 24,
                                             .consumers = {{chat, bytes}}}});
  };
  const TicketId ticket = harness.submit_ticket(chat).first;
  harness.apply_event(LoadEnded{resident});
  harness.apply_event(LeaseReleased{ticket});
  harness.apply_event(EvictionRequested{resident});
  harness.apply_event(RungEnded{resident, Rung::service, {}});
  report_measured(kGiB * 5);
  ASSERT_TRUE(find_effect<EvictionFailed>(
      harness.apply_event(Tick{}, harness.world.registry[chat].spec.stop_limit * 2)));
  ASSERT_EQ(harness.state_of(chat), Residency::warm);
  report_measured(kGiB * 5);
  harness.apply_event(EvictionRequested{resident});
  harness.apply_event(RungEnded{resident, Rung::service, {}});
  ASSERT_TRUE(find_effect<Evicted>(report_measured({})));
  EXPECT_EQ(harness.world.registry[resident].costs.footprint, Bytes{});
  EXPECT_EQ(harness.world.registry[resident].footprint, kGiB * 10);
}

TEST(Step, DrainRefusesWaitingAndNewTickets) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.submit_ticket(chat);
  EXPECT_EQ(effects_of<Refuse>(harness.apply_event(DrainRequested{})).size(), 1U);
  const auto [late, effects] = harness.submit_ticket(chat);
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::shutting_down);
}

TEST(Step, StatisticsFollowTheTickets) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB});
  harness.make_warm(chat);
  const auto [a, e1] = harness.submit_ticket(chat);
  const auto [b, e2] = harness.submit_ticket(chat);
  const Statistics busy = total_statistics(harness.world);
  EXPECT_EQ(busy.queue_depth, 1U);
  EXPECT_EQ(busy.in_flight, 1U);
  EXPECT_EQ(busy.oldest_queued, harness.world.tickets.at(b).arrived_at);
  harness.apply_event(LeaseReleased{a}, 3s);
  const Statistics after = total_statistics(harness.world);
  EXPECT_EQ(after.total_jobs, 2U);
  EXPECT_EQ(after.last_run, Duration{3s + 1ms});
  EXPECT_EQ(after.last_wait, Duration{3s});
}

TEST(Step, ALoadThatRanOutOfMemoryGetsMoreRoomOnce) {
  CoreHarness harness;
  const ConsumerId chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10});
  const ConsumerId underdeclared = harness.create_consumer({.name = "underdeclared", .footprint = kGiB * 10});
  harness.make_warm(chat);
  const auto [ticket, effects] = harness.submit_ticket(underdeclared);
  ASSERT_TRUE(find_effect<Load>(effects)) << "by its declaration it fits beside chat";
  harness.apply_event(
      LoadEnded{harness.resident_of(underdeclared), fail(ErrorCode::out_of_memory, "CUDA out of memory")});
  EXPECT_TRUE(find_effect<Evict>(harness.report_reading())) << "more room is made for the second attempt";
  harness.apply_event(RungEnded{harness.resident_of(chat), Rung::stop, {}});
  ASSERT_TRUE(find_effect<Load>(harness.report_reading()));
  const Effects again = harness.apply_event(
      LoadEnded{harness.resident_of(underdeclared), fail(ErrorCode::out_of_memory, "CUDA out of memory")});
  ASSERT_TRUE(find_effect<Refuse>(again)) << "only one retry";
  EXPECT_EQ(find_effect<Refuse>(again)->error.code, ErrorCode::out_of_memory);
}

TEST(Step, ALoadThatRanOutOfMemoryOnAnEmptyDeviceIsNotTriedAgain) {
  CoreHarness harness;
  const ConsumerId underdeclared = harness.create_consumer({.name = "underdeclared", .footprint = kGiB * 24});
  const auto [ticket, effects] = harness.submit_ticket(underdeclared);
  EXPECT_TRUE(find_effect<Refuse>(harness.apply_event(
      LoadEnded{harness.resident_of(underdeclared), fail(ErrorCode::out_of_memory, "CUDA out of memory")})));
}

}  // namespace
}  // namespace mgpu
