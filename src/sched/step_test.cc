// Stories of the core: a small world, one thing happens, what must follow.
#include "sched/step.h"

#include <gtest/gtest.h>

#include "sched/home_for_tests.h"

namespace mgpu {
namespace {

using namespace std::chrono_literals;

TEST(Step, LetsWhatIsFoundWarmExplainTheBytesThatWereMeasuredBefore) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  home.happens(ReadingTaken{{.device = home.gpu,
                             .taken_at = home.world.now + 1ms,
                             .total = kGiB * 24,
                             .consumers = {{chat, kGiB * 14}}}});
  const Effects effects = home.happens(FoundWarm{home.resident(chat)});
  EXPECT_FALSE(the<Evict>(effects)) << "its bytes count once";
  EXPECT_EQ(headroom(home.world.registry, home.gpu), kGiB * 10);
}

TEST(Step, NobodyLeavesBeforeTheDriverHasSaidAnything) {
  World world;
  const DeviceId gpu = add_device(world, {.name = "gpu0", .reserve = kGiB});
  const auto chat = add_consumer(world.registry, {.name = "chat", .device = gpu, .can_stop = true});
  const ResidentId adopted = add_resident(world.registry, chat, "", kGiB * 4);
  EXPECT_FALSE(the<Evict>(step(world, {.at = {1}, .payload = FoundWarm{adopted}})));
}

TEST(Step, CountsOnWhatAJobGaveBackOnlyWhenItIsSeenFree) {
  Home home;
  const auto tight = home.consumer({.name = "tight", .footprint = kGiB * 20, .working = kGiB * 3});
  home.warm(tight);
  const TicketId first = home.asks(tight).first;
  const TicketId second = home.asks(tight).first;
  const Effects released = home.happens(LeaseReleased{first});
  EXPECT_FALSE(granted(released, second));
  EXPECT_TRUE(the<TakeReading>(released));
  EXPECT_TRUE(granted(home.read(), second));
}

TEST(Step, LoadsAColdConsumerAndGrantsWhenItIsWarm) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14, .working = kGiB});
  const auto [ticket, effects] = home.asks(chat);
  ASSERT_TRUE(the<Load>(effects));
  EXPECT_FALSE(granted(effects, ticket));
  EXPECT_TRUE(granted(home.happens(LoadEnded{home.resident(chat)}), ticket));
}

TEST(Step, EvictsTheOtherStepByStepAndLoadsOnlyWhenTheMemoryIsSeenFree) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat);
  const auto [ticket, effects] = home.asks(image);
  ASSERT_TRUE(the<Evict>(effects));
  EXPECT_EQ(the<Evict>(effects)->rung, Rung::stop);
  const auto answered = home.happens(RungEnded{home.resident(chat), Rung::stop, {}});
  EXPECT_TRUE(the<TakeReading>(answered)) << "an answer is not proof";
  EXPECT_FALSE(the<Load>(answered));
  const auto seen = home.read();
  EXPECT_TRUE(the<Evicted>(seen));
  EXPECT_TRUE(the<Load>(seen));
}

TEST(Step, ClimbsTheLadderWhenTheMemoryDoesNotComeFree) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14, .stop_limit = 5s});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat);
  home.asks(image);
  const auto next = home.happens(Tick{}, 6s);
  ASSERT_TRUE(the<Evict>(next));
  EXPECT_EQ(the<Evict>(next)->rung, Rung::kill);
  home.happens(RungEnded{home.resident(chat), Rung::kill, {}});
  home.world.registry[chat].primary_usage.measured = kGiB * 14;  // a dead process whose memory lingers
  const auto given_up = home.happens(Tick{}, 6s);
  EXPECT_TRUE(the<EvictionFailed>(given_up));
  EXPECT_FALSE(the<Load>(given_up)) << "what was not seen free is not free";
}

TEST(Step, OneConsumerAtATimeInOrderOfArrival) {
  Home home;
  const auto stt = home.consumer({.name = "stt", .footprint = kGiB * 2});
  const auto tts = home.consumer({.name = "tts", .footprint = kGiB * 2});
  home.warm(stt), home.warm(tts);
  const auto [first, e1] = home.asks(stt);
  const auto [second, e2] = home.asks(tts);
  const auto [third, e3] = home.asks(stt);
  EXPECT_TRUE(granted(e1, first));
  EXPECT_FALSE(granted(e2, second));
  EXPECT_EQ(place_in_line(home.world, third), 2U);
  EXPECT_TRUE(granted(home.happens(LeaseReleased{first}), second));
  EXPECT_TRUE(granted(home.happens(LeaseReleased{second}), third));
}

TEST(Step, ConcurrencyLetsTicketsOfOneTurnRunTogetherButNobodyOvertakesTheHead) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4, .working = kGiB, .concurrency = 2});
  const auto tts = home.consumer({.name = "tts", .footprint = kGiB * 2});
  home.warm(chat), home.warm(tts);
  const auto [a, e1] = home.asks(chat);
  const auto [b, e2] = home.asks(chat);
  const auto [c, e3] = home.asks(tts);
  const auto [d, e4] = home.asks(chat);
  EXPECT_TRUE(granted(e1, a) && granted(e2, b));
  EXPECT_TRUE(home.happens(LeaseReleased{a}).empty()) << "d may not overtake c";
  EXPECT_TRUE(granted(home.happens(LeaseReleased{b}), c));
  EXPECT_TRUE(granted(home.happens(LeaseReleased{c}), d));
}

TEST(Step, CapacityTwoRunsSideBySideOnlyWhatFitsTogether) {
  Home home{2};
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  const auto tts = home.consumer({.name = "tts", .footprint = kGiB * 4});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat), home.warm(tts);
  const auto [a, e1] = home.asks(chat);
  const auto [b, e2] = home.asks(tts);
  EXPECT_TRUE(granted(e1, a) && granted(e2, b));
  home.happens(LeaseReleased{b});
  const auto [c, e3] = home.asks(image);
  EXPECT_FALSE(the<Evict>(e3)) << "tts alone would not help, so nobody leaves in vain";
  EXPECT_TRUE(the<Evict>(home.happens(LeaseReleased{a})));
}

TEST(Step, TurnlessNeedsMemoryButNoTurn) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  const auto embed = home.consumer({.name = "embed", .footprint = kGiB, .turnless = true});
  home.warm(chat), home.warm(embed);
  home.asks(chat);
  const auto [ticket, effects] = home.asks(embed);
  EXPECT_TRUE(granted(effects, ticket));
}

TEST(Step, ExclusiveNeverSharesTheDevice) {
  Home home{2};
  const auto train = home.consumer({.name = "train", .footprint = kGiB, .exclusive = true});
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB});
  home.warm(train), home.warm(chat);
  const auto [a, e1] = home.asks(chat);
  const auto [b, e2] = home.asks(train);
  EXPECT_FALSE(granted(e2, b));
  EXPECT_TRUE(granted(home.happens(LeaseReleased{a}), b));
  const auto [c, e3] = home.asks(chat);
  EXPECT_FALSE(granted(e3, c));
}

// The edges refuse such limits; the core survives them all the same.
TEST(Step, LimitsPastTheEndOfTimeAreNeverDue) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    Home home(1, policy);
    Limits& limits = home.world.limits;
    limits.wait_limit = limits.room_limit = limits.pause_first = limits.pause_longest = limits.reading_age =
        limits.overtake_limit = limits.ageing = Duration::max();
    const auto chat = home.consumer({.name = "chat",
                                     .footprint = kGiB * 14,
                                     .max_turn = Duration::max(),
                                     .idle_unload = Duration::max(),
                                     .load_limit = Duration::max(),
                                     .stop_limit = Duration::max()});
    const auto image = home.consumer({.name = "image", .footprint = kGiB * 14});
    home.warm(chat);
    const TicketId holder = home.asks(chat).first;
    for (const ConsumerId who : {chat, image, chat})
      home.asks(who, TicketRequest{.wait_limit = Duration::max(), .user = 1, .deadline = Duration::max()});
    EXPECT_EQ(home.world.tickets.size(), 4U);
    for (int i = 0; i < 3; ++i) {
      EXPECT_GT(next_wakeup(home.world), home.world.now + 1h);
      home.happens(Tick{}, 10min);
    }
    EXPECT_EQ(home.world.tickets.size(), 4U);
    home.happens(LeaseReleased{holder});
    EXPECT_GT(next_wakeup(home.world), home.world.now);
  }
}

TEST(Step, ABareLeaseReservesItsBytes) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  home.warm(chat);
  const auto effects = home.happens(TicketArrived{TicketId{100}, {.device = home.gpu, .bytes = kGiB * 20}});
  EXPECT_TRUE(the<Evict>(effects));
  home.happens(RungEnded{home.resident(chat), Rung::stop, {}});
  EXPECT_TRUE(granted(home.read(), TicketId{100}));
  EXPECT_EQ(headroom(home.world.registry, home.gpu), kGiB * 4);
  home.happens(LeaseReleased{TicketId{100}});
  EXPECT_EQ(headroom(home.world.registry, home.gpu), kGiB * 24);
}

TEST(Step, RefusesAtOnceWhatCanNeverFitAndSaysHowMuchIsMissing) {
  Home home;
  const auto big = home.consumer({.name = "big", .footprint = kGiB * 30});
  const auto [ticket, effects] = home.asks(big);
  ASSERT_TRUE(the<Refuse>(effects));
  EXPECT_EQ(the<Refuse>(effects)->error.code, ErrorCode::never_fits);
  EXPECT_NE(the<Refuse>(effects)->error.detail.find("6.0 GiB missing"), std::string::npos);
}

TEST(Step, RefusesWhenTheLineIsFull) {
  Home home;
  home.world.limits.max_queue = 1;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB});
  home.warm(chat);
  home.asks(chat);
  home.asks(chat);
  const auto [ticket, effects] = home.asks(chat);
  ASSERT_TRUE(the<Refuse>(effects));
  EXPECT_EQ(the<Refuse>(effects)->error.code, ErrorCode::queue_full);
  EXPECT_GT(the<Refuse>(effects)->retry_after, Duration{0});
}

TEST(Step, AWaitLimitEndsAWait) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB});
  home.warm(chat);
  home.asks(chat);
  const auto [ticket, waits] = home.asks(chat, 2s);
  EXPECT_EQ(next_wakeup(home.world), home.world.tickets.at(ticket).expires);
  const auto effects = home.happens(Tick{}, 2s);
  ASSERT_TRUE(the<Refuse>(effects));
  EXPECT_EQ(the<Refuse>(effects)->error.code, ErrorCode::wait_limit);
}

TEST(Step, CancelledWhileItsLoadRunsItLeavesNothingBehind) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  const auto [ticket, effects] = home.asks(chat);
  home.happens(TicketCancelled{ticket});
  EXPECT_TRUE(home.world.tickets.empty());
  EXPECT_TRUE(home.world.lines[0].turns.empty());
  home.happens(LoadEnded{home.resident(chat)});
  EXPECT_EQ(home.state(chat), Residency::warm);
}

TEST(Step, AFailedLoadIsToldToAllWhoWaitForItAndPausesLongerEachTime) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  home.asks(chat);
  const auto failed =
      home.happens(LoadEnded{home.resident(chat), fail(ErrorCode::load_failed, "exit code 1")});
  home.read();
  ASSERT_TRUE(the<Refuse>(failed));
  EXPECT_EQ(the<Refuse>(failed)->error.detail, "exit code 1");
  EXPECT_EQ(the<Refuse>(failed)->retry_after, Duration{1s});
  const auto [early, told] = home.asks(chat);
  EXPECT_TRUE(the<Refuse>(told)) << "not before the pause is over";
  home.happens(Tick{}, 1s);
  home.read();
  const auto [again, retried] = home.asks(chat);
  EXPECT_TRUE(the<Load>(retried));
  const auto twice =
      home.happens(LoadEnded{home.resident(chat), fail(ErrorCode::load_failed, "exit code 1")});
  EXPECT_EQ(the<Refuse>(twice)->retry_after, Duration{2s});
}

TEST(Step, ACrashEndsTheLeaseAndTheNextTicketReloads) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  home.warm(chat);
  const auto [running, e1] = home.asks(chat);
  const auto [next, e2] = home.asks(chat);
  const auto lost = home.happens(ServiceLost{chat, {ErrorCode::service_down, "killed by signal 9"}});
  ASSERT_TRUE(the<EndLease>(lost));
  EXPECT_EQ(the<EndLease>(lost)->ticket, running);
  EXPECT_FALSE(the<Load>(lost)) << "what the crash left behind is not known yet";
  EXPECT_TRUE(the<Load>(home.read()));
}

TEST(Step, IdleResidentsMakeRoomWhenForeignMemoryGrows) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  home.warm(chat);
  home.foreign = kGiB * 12;
  const auto effects = home.read();
  ASSERT_TRUE(the<Planned>(effects));
  EXPECT_EQ(the<Planned>(effects)->reason, PlanReason::pressure);
}

TEST(Step, ForeignMemoryInTheWayIsWaitedForAWhileThenSaid) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14});
  home.foreign = kGiB * 12;
  home.read();
  const auto [ticket, effects] = home.asks(chat);
  EXPECT_TRUE(effects.empty());
  EXPECT_LE(next_wakeup(home.world), home.world.now + home.world.limits.room_limit);
  const auto refused = home.happens(Tick{}, 30s);
  ASSERT_TRUE(the<Refuse>(refused));
  EXPECT_EQ(the<Refuse>(refused)->error.code, ErrorCode::no_room);
}

TEST(Step, APinnedConsumerStays) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 14, .pinned = true});
  const auto image = home.consumer({.name = "image", .footprint = kGiB * 12});
  home.warm(chat);
  const auto [ticket, effects] = home.asks(image);
  EXPECT_FALSE(the<Evict>(effects));
}

TEST(Step, AnIdleResidentLeavesAfterItsTime) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB, .idle_unload = 15min});
  home.warm(chat);
  EXPECT_EQ(next_wakeup(home.world), home.world.registry[home.resident(chat)].last_used + 15min);
  EXPECT_TRUE(the<Evict>(home.happens(Tick{}, 15min)));
}

TEST(Step, ALoadStartsOnlyOnAFreshReading) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB});
  home.happens(Tick{}, 1min);
  const auto [ticket, effects] = home.asks(chat);
  EXPECT_TRUE(the<TakeReading>(effects));
  EXPECT_FALSE(the<Load>(effects));
  EXPECT_TRUE(the<Load>(home.read()));
}

TEST(Step, EachDeviceHasALineOfItsOwn) {
  Home home;
  const auto second = add_device(home.world, {.name = "gpu1"});
  home.happens(ReadingTaken{{.device = second, .taken_at = home.world.now, .total = kGiB * 24}});
  const auto a = home.consumer({.name = "a", .footprint = kGiB});
  home.warm(a);
  home.asks(a);
  const auto effects = home.happens(TicketArrived{TicketId{50}, {.device = second, .bytes = kGiB}});
  EXPECT_TRUE(granted(effects, TicketId{50}));
}

// Found by seed 146326 of the simulation.
TEST(Step, WhatIsLeftByAnEvictionThatWasGivenUpIsNotLearnedAsTheFootprint) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 10, .can_unload = true});
  home.world.registry[chat].spec.can_stop = false;
  const ResidentId resident = home.resident(chat);
  const auto reads = [&](Bytes bytes) {
    return home.happens(ReadingTaken{{.device = home.gpu,
                                      .taken_at = home.world.now + 1ms,
                                      .total = kGiB * 24,
                                      .consumers = {{chat, bytes}}}});
  };
  const TicketId ticket = home.asks(chat).first;
  home.happens(LoadEnded{resident});
  home.happens(LeaseReleased{ticket});
  home.happens(EvictionRequested{resident});
  home.happens(RungEnded{resident, Rung::service, {}});
  reads(kGiB * 5);
  ASSERT_TRUE(the<EvictionFailed>(home.happens(Tick{}, home.world.registry[chat].spec.stop_limit * 2)));
  ASSERT_EQ(home.state(chat), Residency::warm);
  reads(kGiB * 5);
  home.happens(EvictionRequested{resident});
  home.happens(RungEnded{resident, Rung::service, {}});
  ASSERT_TRUE(the<Evicted>(reads({})));
  EXPECT_EQ(home.world.registry[resident].costs.footprint, Bytes{});
  EXPECT_EQ(home.world.registry[resident].footprint, kGiB * 10);
}

TEST(Step, DrainRefusesWhoWaitsAndWhoComes) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB});
  home.warm(chat);
  home.asks(chat);
  home.asks(chat);
  EXPECT_EQ(all<Refuse>(home.happens(DrainRequested{})).size(), 1U);
  const auto [late, effects] = home.asks(chat);
  EXPECT_EQ(the<Refuse>(effects)->error.code, ErrorCode::shutting_down);
}

TEST(Step, TheSixFiguresFollow) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB});
  home.warm(chat);
  const auto [a, e1] = home.asks(chat);
  const auto [b, e2] = home.asks(chat);
  const Statistics busy = total_statistics(home.world);
  EXPECT_EQ(busy.queue_depth, 1U);
  EXPECT_EQ(busy.in_flight, 1U);
  EXPECT_EQ(busy.oldest_queued, home.world.tickets.at(b).arrived);
  home.happens(LeaseReleased{a}, 3s);
  const Statistics after = total_statistics(home.world);
  EXPECT_EQ(after.total_jobs, 2U);
  EXPECT_EQ(after.last_run, Duration{3s + 1ms});
  EXPECT_EQ(after.last_wait, Duration{3s});
}

TEST(Step, ALoadThatRanOutOfMemoryGetsMoreRoomOnce) {
  Home home;
  const ConsumerId chat = home.consumer({.name = "chat", .footprint = kGiB * 10});
  const ConsumerId liar = home.consumer({.name = "liar", .footprint = kGiB * 10});
  home.warm(chat);
  const auto [ticket, effects] = home.asks(liar);
  ASSERT_TRUE(the<Load>(effects)) << "as far as anybody knows, it fits beside";
  home.happens(LoadEnded{home.resident(liar), fail(ErrorCode::out_of_memory, "CUDA out of memory")});
  EXPECT_TRUE(the<Evict>(home.read())) << "it takes more than the room that it had";
  home.happens(RungEnded{home.resident(chat), Rung::stop, {}});
  ASSERT_TRUE(the<Load>(home.read()));
  const Effects again =
      home.happens(LoadEnded{home.resident(liar), fail(ErrorCode::out_of_memory, "CUDA out of memory")});
  ASSERT_TRUE(the<Refuse>(again)) << "once";
  EXPECT_EQ(the<Refuse>(again)->error.code, ErrorCode::out_of_memory);
}

TEST(Step, ALoadThatRanOutOfMemoryOnAnEmptyDeviceIsNotTriedAgain) {
  Home home;
  const ConsumerId liar = home.consumer({.name = "liar", .footprint = kGiB * 24});
  const auto [ticket, effects] = home.asks(liar);
  EXPECT_TRUE(the<Refuse>(
      home.happens(LoadEnded{home.resident(liar), fail(ErrorCode::out_of_memory, "CUDA out of memory")})));
}

}  // namespace
}  // namespace mgpu
