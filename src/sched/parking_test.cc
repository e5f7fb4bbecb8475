// Stories of host memory: who is parked in it, who is dropped for whom, and what an operator may do.
#include <gtest/gtest.h>

#include "sched/home_for_tests.h"

namespace mgpu {
namespace {

struct Parking {
  Home home = Home(1, Policy::affinity);
  Parking() { home.world.registry.park_memory = kGiB * 16; }

  ConsumerId parkable(std::string name, Bytes footprint) {
    const auto id = home.consumer({.name = std::move(name), .footprint = footprint, .can_park = true});
    home.world.registry[home.resident(id)].costs = {.load_cold = 20s, .load_cached = 10s, .load_parked = 1s};
    return id;
  }
  // Asks for `id`, sees who leaves for it, and lets all of it happen.
  std::vector<Evict> displaces(ConsumerId id) {
    auto [ticket, effects] = home.asks(id);
    const auto evictions = all<Evict>(effects);
    for (const Evict& evict : evictions) home.happens(RungEnded{evict.resident, evict.rung, {}});
    home.read();
    if (home.state(id) == Residency::loading)
      home.happens(LoadEnded{home.resident(id), {}, LoadSource::cached});
    home.happens(LeaseReleased{ticket});
    home.read();
    return evictions;
  }
};

TEST(Parking, ComesBeforeUnloadingWhereComingBackIsQuicker) {
  Parking parking;
  const auto chat = parking.parkable("chat", kGiB * 14);
  const auto image = parking.parkable("image", kGiB * 12);
  parking.home.warm(chat);
  const auto evictions = parking.displaces(image);
  ASSERT_EQ(evictions.size(), 1U);
  EXPECT_EQ(evictions[0].rung, Rung::park);
  EXPECT_EQ(parking.home.state(chat), Residency::parked);
}

TEST(Parking, AProcessThatDiesBeforeItsMemoryIsSeenFreeLeavesNothingParked) {
  for (const bool after_the_answer : {false, true}) {
    Parking parking;
    Home& home = parking.home;
    const auto chat = parking.parkable("chat", kGiB * 14);
    const auto image = parking.parkable("image", kGiB * 12);
    home.warm(chat);
    const auto evictions = all<Evict>(home.asks(image).second);
    ASSERT_EQ(evictions.size(), 1U);
    ASSERT_EQ(evictions[0].rung, Rung::park);
    if (!after_the_answer) home.happens(ServiceLost{chat, {ErrorCode::service_down, "crashed"}});
    home.happens(RungEnded{home.resident(chat), Rung::park, {}});
    if (after_the_answer) home.happens(ServiceLost{chat, {ErrorCode::service_down, "crashed"}});
    home.read();
    EXPECT_EQ(home.state(chat), Residency::cold);
    EXPECT_EQ(parked_bytes(home.world.registry), Bytes{});
  }
}

TEST(Parking, WhatCantBeUnloadedAnyMoreSinceItsProcessDiedIsNotWarm) {
  Home home(1, Policy::affinity);
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4, .can_unload = true});
  home.world.registry[chat].spec.can_stop = false;
  home.warm(chat);
  home.happens(EvictionRequested{home.resident(chat)});
  home.happens(ServiceLost{chat, {ErrorCode::service_down, "crashed"}});
  home.happens(
      RungEnded{home.resident(chat), Rung::service, fail(ErrorCode::service_down, "nobody answers")});
  EXPECT_EQ(home.state(chat), Residency::cold);
}

TEST(Parking, UnloadsWhatDoesNotFitIntoHostMemory) {
  Parking parking;
  const auto chat = parking.parkable("chat", kGiB * 18);
  const auto image = parking.parkable("image", kGiB * 12);
  parking.home.warm(chat);
  const auto evictions = parking.displaces(image);
  ASSERT_EQ(evictions.size(), 1U);
  EXPECT_EQ(evictions[0].rung, Rung::stop);
}

TEST(Parking, DropsTheLeastValuableFromHostMemoryForTheNext) {
  Parking parking;
  const auto first = parking.parkable("first", kGiB * 14);
  const auto second = parking.parkable("second", kGiB * 13);
  const auto third = parking.parkable("third", kGiB * 12);
  parking.home.warm(first);
  parking.displaces(second);
  ASSERT_EQ(parking.home.state(first), Residency::parked);
  const Effects effects = parking.home.asks(third).second;
  ASSERT_EQ(all<Evict>(effects).size(), 1U) << "the parked one goes first; the next one waits for its place";
  EXPECT_EQ(the<Evict>(effects)->resident, parking.home.resident(first));
  EXPECT_EQ(parking.home.state(second), Residency::unloading);
  parking.home.happens(RungEnded{parking.home.resident(first), Rung::stop, {}});
  const Effects seen = parking.home.read();
  EXPECT_EQ(parking.home.state(first), Residency::cold);
  ASSERT_TRUE(the<Evict>(seen));
  EXPECT_EQ(the<Evict>(seen)->rung, Rung::park);
}

TEST(Parking, AResidentComesBackFromHostMemoryAsSuch) {
  Parking parking;
  const auto chat = parking.parkable("chat", kGiB * 14);
  const auto image = parking.parkable("image", kGiB * 12);
  parking.home.warm(chat);
  parking.displaces(image);
  auto [ticket, effects] = parking.home.asks(chat);
  for (const Evict& evict : all<Evict>(effects))
    parking.home.happens(RungEnded{evict.resident, evict.rung, {}});
  const Effects seen = parking.home.read();
  ASSERT_TRUE(the<Load>(seen));
  EXPECT_TRUE(the<Load>(seen)->from_parked);
}

TEST(Requeue, ALeaseWhoseServiceRanOutOfMemoryWaitsAgainWithMoreExpected) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 10, .working = kGiB});
  const auto idle = home.consumer({.name = "idle", .footprint = kGiB * 12});
  home.warm(idle), home.warm(chat);
  const TicketId ticket = home.asks(chat).first;
  const Effects effects = home.happens(OutOfMemorySeen{ticket});
  ASSERT_TRUE(the<Requeued>(effects));
  EXPECT_GT(the<Requeued>(effects)->expected_bytes, kGiB * 11);
  ASSERT_TRUE(the<Evict>(effects)) << "more room is made";
  EXPECT_EQ(home.world.tickets.at(ticket).stage, Stage::preparing);
  EXPECT_EQ(total_statistics(home.world).memory_retries, 1U);
}

TEST(Requeue, AServiceThatDiedOfItIsExpectedToNeedMoreAsWell) {
  Home home;
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 10, .working = kGiB});
  home.warm(chat);
  home.happens(ServiceLost{chat, {ErrorCode::out_of_memory, "CUDA out of memory"}});
  EXPECT_GT(working_per_job(home.world.registry[chat]), kGiB);
}

TEST(Yield, TheIdleLeaveAndNobodyComesWhileAGameRuns) {
  Home home(1, Policy::affinity);
  const auto pinned = home.consumer({.name = "pinned", .footprint = kGiB * 4, .pinned = true});
  home.warm(pinned);
  const auto game = [&](bool runs) {
    return home.happens(
        ReadingTaken{{.device = home.gpu,
                      .taken_at = home.world.now + 1ms,
                      .total = kGiB * 24,
                      .consumers = runs ? std::vector<Reading::ConsumerBytes>{{pinned, kGiB * 4}}
                                        : std::vector<Reading::ConsumerBytes>{},
                      .yielded = runs}});
  };
  const Effects begins = game(true);
  ASSERT_TRUE(the<Evict>(begins)) << "pinned or not: the user said so";
  home.happens(RungEnded{home.resident(pinned), Rung::stop, {}});
  const TicketId ticket = home.asks(pinned).first;
  EXPECT_EQ(home.world.tickets.at(ticket).stage, Stage::waiting);
  game(false);
  EXPECT_EQ(home.world.tickets.at(ticket).stage, Stage::preparing);
}

TEST(WarmUp, WhatWasPinnedComesBackWhenTheGameIsOver) {
  Home home(1, Policy::affinity);
  const auto pinned = home.consumer({.name = "pinned", .footprint = kGiB * 4, .pinned = true});
  home.warm(pinned);
  home.happens(ServiceLost{pinned, {ErrorCode::service_down, "ended"}});
  const Effects effects = home.read();
  ASSERT_TRUE(the<Load>(effects));
  EXPECT_FALSE(the<Load>(effects)->ticket);
}

TEST(WarmUp, TheUsualFollowerComesInWhileTheFormerComputes) {
  Home home(1, Policy::affinity);
  const auto stt = home.consumer({.name = "stt", .footprint = kGiB * 4});
  const auto tts = home.consumer({.name = "tts", .footprint = kGiB * 4});
  home.warm(stt);
  home.world.registry[stt].spec.followed_by = {tts};
  home.read();
  const Effects effects = home.asks(stt).second;
  ASSERT_TRUE(the<Load>(effects));
  EXPECT_EQ(the<Load>(effects)->resident, home.resident(tts));
}

TEST(WarmUp, WhatAnOperatorSentAwayStaysAway) {
  Home home(1, Policy::affinity);
  const auto usual = home.consumer({.name = "usual", .footprint = kGiB * 4, .reserved = true});
  home.warm(usual);
  home.happens(EvictionRequested{.resident = home.resident(usual)});
  home.happens(RungEnded{home.resident(usual), Rung::stop, {}});
  const Effects effects = home.read();
  EXPECT_EQ(home.state(usual), Residency::cold);
  EXPECT_FALSE(the<Load>(effects));
}

TEST(WarmUp, WhatAnOperatorUnloadsWhileItIsColdStaysAwayUntilSomebodyAsks) {
  Home home(1, Policy::affinity);
  const auto usual = home.consumer({.name = "usual", .footprint = kGiB * 4, .reserved = true});
  home.warm(usual);
  home.happens(ServiceLost{usual, {ErrorCode::service_down, "ended"}});
  ASSERT_EQ(home.state(usual), Residency::cold);
  home.happens(EvictionRequested{.resident = home.resident(usual)});
  EXPECT_FALSE(the<Load>(home.read())) << "else it would come back: it is reserved and was used";

  home.warm(usual);
  home.happens(ServiceLost{usual, {ErrorCode::service_down, "ended"}});
  EXPECT_TRUE(the<Load>(home.read())) << "wanted again";
}

}  // namespace
}  // namespace mgpu
