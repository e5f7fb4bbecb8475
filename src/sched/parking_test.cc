// Tests of parking in host memory, of requeued tickets, of yielded devices and of warm-ups.
#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

struct ParkingFixture {
  CoreHarness harness = CoreHarness(1, Policy::affinity);
  ParkingFixture() { harness.world.registry.park_memory = kGiB * 16; }

  ConsumerId create_parkable(std::string name, Bytes footprint) {
    const auto id =
        harness.create_consumer({.name = std::move(name), .footprint = footprint, .can_park = true});
    harness.world.registry[harness.resident_of(id)].costs = {
        .load_cold = 20s, .load_cached = 10s, .load_parked = 1s};
    return id;
  }
  // Runs a ticket of `id`, answers all evictions for it, and returns them.
  std::vector<Evict> displace_for(ConsumerId id) {
    auto [ticket, effects] = harness.submit_ticket(id);
    const auto evictions = effects_of<Evict>(effects);
    for (const Evict& evict : evictions) harness.apply_event(RungEnded{evict.resident, evict.rung, {}});
    harness.report_reading();
    if (harness.state_of(id) == Residency::loading)
      harness.apply_event(LoadEnded{harness.resident_of(id), {}, LoadSource::cached});
    harness.apply_event(LeaseReleased{ticket});
    harness.report_reading();
    return evictions;
  }
};

TEST(Parking, IsPreferredToUnloadingIfLoadingIsFasterThen) {
  ParkingFixture fixture;
  const auto chat = fixture.create_parkable("chat", kGiB * 14);
  const auto image = fixture.create_parkable("image", kGiB * 12);
  fixture.harness.make_warm(chat);
  const auto evictions = fixture.displace_for(image);
  ASSERT_EQ(evictions.size(), 1U);
  EXPECT_EQ(evictions[0].rung, Rung::park);
  EXPECT_EQ(fixture.harness.state_of(chat), Residency::parked);
}

TEST(Parking, NothingIsParkedIfTheProcessDiesMeanwhile) {
  for (const bool after_the_answer : {false, true}) {
    ParkingFixture fixture;
    CoreHarness& harness = fixture.harness;
    const auto chat = fixture.create_parkable("chat", kGiB * 14);
    const auto image = fixture.create_parkable("image", kGiB * 12);
    harness.make_warm(chat);
    const auto evictions = effects_of<Evict>(harness.submit_ticket(image).second);
    ASSERT_EQ(evictions.size(), 1U);
    ASSERT_EQ(evictions[0].rung, Rung::park);
    if (!after_the_answer) harness.apply_event(ServiceLost{chat, {ErrorCode::service_down, "crashed"}});
    harness.apply_event(RungEnded{harness.resident_of(chat), Rung::park, {}});
    if (after_the_answer) harness.apply_event(ServiceLost{chat, {ErrorCode::service_down, "crashed"}});
    harness.report_reading();
    EXPECT_EQ(harness.state_of(chat), Residency::cold);
    EXPECT_EQ(parked_bytes(harness.world.registry), Bytes{});
  }
}

TEST(Parking, AResidentWhoseProcessDiedDuringItsEvictionIsCold) {
  CoreHarness harness(1, Policy::affinity);
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4, .can_unload = true});
  harness.world.registry[chat].spec.can_stop = false;
  harness.make_warm(chat);
  harness.apply_event(EvictionRequested{harness.resident_of(chat)});
  harness.apply_event(ServiceLost{chat, {ErrorCode::service_down, "crashed"}});
  harness.apply_event(RungEnded{harness.resident_of(chat), Rung::service,
                                fail(ErrorCode::service_down, "connection refused")});
  harness.report_reading();
  EXPECT_EQ(harness.state_of(chat), Residency::cold);
}

TEST(Parking, UnloadsAResidentThatDoesNotFitIntoHostMemory) {
  ParkingFixture fixture;
  const auto chat = fixture.create_parkable("chat", kGiB * 18);
  const auto image = fixture.create_parkable("image", kGiB * 12);
  fixture.harness.make_warm(chat);
  const auto evictions = fixture.displace_for(image);
  ASSERT_EQ(evictions.size(), 1U);
  EXPECT_EQ(evictions[0].rung, Rung::stop);
}

TEST(Parking, DropsTheLeastValuableParkedResidentForTheNext) {
  ParkingFixture fixture;
  const auto first = fixture.create_parkable("first", kGiB * 14);
  const auto second = fixture.create_parkable("second", kGiB * 13);
  const auto third = fixture.create_parkable("third", kGiB * 12);
  fixture.harness.make_warm(first);
  fixture.displace_for(second);
  ASSERT_EQ(fixture.harness.state_of(first), Residency::parked);
  const Effects effects = fixture.harness.submit_ticket(third).second;
  ASSERT_EQ(effects_of<Evict>(effects).size(), 1U)
      << "the parked resident is dropped first; the next one waits for its host memory";
  EXPECT_EQ(find_effect<Evict>(effects)->resident, fixture.harness.resident_of(first));
  EXPECT_EQ(fixture.harness.state_of(second), Residency::unloading);
  fixture.harness.apply_event(RungEnded{fixture.harness.resident_of(first), Rung::stop, {}});
  const Effects seen = fixture.harness.report_reading();
  EXPECT_EQ(fixture.harness.state_of(first), Residency::cold);
  ASSERT_TRUE(find_effect<Evict>(seen));
  EXPECT_EQ(find_effect<Evict>(seen)->rung, Rung::park);
}

TEST(Parking, ALoadOfAParkedResidentSaysSo) {
  ParkingFixture fixture;
  const auto chat = fixture.create_parkable("chat", kGiB * 14);
  const auto image = fixture.create_parkable("image", kGiB * 12);
  fixture.harness.make_warm(chat);
  fixture.displace_for(image);
  auto [ticket, effects] = fixture.harness.submit_ticket(chat);
  for (const Evict& evict : effects_of<Evict>(effects))
    fixture.harness.apply_event(RungEnded{evict.resident, evict.rung, {}});
  const Effects seen = fixture.harness.report_reading();
  ASSERT_TRUE(find_effect<Load>(seen));
  EXPECT_TRUE(find_effect<Load>(seen)->from_parked);
}

TEST(Requeue, ALeaseThatRanOutOfMemoryWaitsAgainWithALargerExpectation) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10, .working = kGiB});
  const auto idle = harness.create_consumer({.name = "idle", .footprint = kGiB * 12});
  harness.make_warm(idle), harness.make_warm(chat);
  const TicketId ticket = harness.submit_ticket(chat).first;
  const Effects effects = harness.apply_event(OutOfMemorySeen{ticket});
  ASSERT_TRUE(find_effect<Requeued>(effects));
  EXPECT_GT(find_effect<Requeued>(effects)->expected_bytes, kGiB * 11);
  ASSERT_TRUE(find_effect<Evict>(effects)) << "more room is made";
  EXPECT_EQ(harness.world.tickets.at(ticket).stage, TicketStage::preparing);
  EXPECT_EQ(total_statistics(harness.world).memory_retries, 1U);
}

TEST(Requeue, AServiceThatDiedOutOfMemoryIsExpectedToNeedMore) {
  CoreHarness harness;
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10, .working = kGiB});
  harness.make_warm(chat);
  harness.apply_event(ServiceLost{chat, {ErrorCode::out_of_memory, "CUDA out of memory"}});
  EXPECT_GT(working_per_job(harness.world.registry[chat]), kGiB);
}

TEST(Yield, IdleResidentsAreEvictedAndNoneIsLoadedWhileAGameRuns) {
  CoreHarness harness(1, Policy::affinity);
  const auto pinned = harness.create_consumer({.name = "pinned", .footprint = kGiB * 4, .pinned = true});
  harness.make_warm(pinned);
  const auto report_game = [&](bool is_running) {
    return harness.apply_event(
        ReadingTaken{{.device = harness.gpu,
                      .taken_at = harness.world.now + 1ms,
                      .total = kGiB * 24,
                      .consumers = is_running ? std::vector<Reading::ConsumerBytes>{{pinned, kGiB * 4}}
                                              : std::vector<Reading::ConsumerBytes>{},
                      .yielded = is_running}});
  };
  const Effects effects = report_game(true);
  ASSERT_TRUE(find_effect<Evict>(effects)) << "yield_to evicts pinned residents, too";
  harness.apply_event(RungEnded{harness.resident_of(pinned), Rung::stop, {}});
  const TicketId ticket = harness.submit_ticket(pinned).first;
  EXPECT_EQ(harness.world.tickets.at(ticket).stage, TicketStage::waiting);
  report_game(false);
  EXPECT_EQ(harness.world.tickets.at(ticket).stage, TicketStage::preparing);
}

TEST(WarmUp, APinnedResidentIsLoadedAgainAfterItsProcessEnded) {
  CoreHarness harness(1, Policy::affinity);
  const auto pinned = harness.create_consumer({.name = "pinned", .footprint = kGiB * 4, .pinned = true});
  harness.make_warm(pinned);
  harness.apply_event(ServiceLost{pinned, {ErrorCode::service_down, "ended"}});
  const Effects effects = harness.report_reading();
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_FALSE(find_effect<Load>(effects)->ticket);
}

TEST(WarmUp, TheUsualSuccessorIsLoadedWhileItsPredecessorRuns) {
  CoreHarness harness(1, Policy::affinity);
  const auto stt = harness.create_consumer({.name = "stt", .footprint = kGiB * 4});
  const auto tts = harness.create_consumer({.name = "tts", .footprint = kGiB * 4});
  harness.make_warm(stt);
  harness.world.registry[stt].spec.followed_by = {tts};
  harness.report_reading();
  const Effects effects = harness.submit_ticket(stt).second;
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_EQ(find_effect<Load>(effects)->resident, harness.resident_of(tts));
}

TEST(WarmUp, AResidentEvictedByAnOperatorIsNotWarmedUp) {
  CoreHarness harness(1, Policy::affinity);
  const auto usual = harness.create_consumer({.name = "usual", .footprint = kGiB * 4, .reserved = true});
  harness.make_warm(usual);
  harness.apply_event(EvictionRequested{.resident = harness.resident_of(usual)});
  harness.apply_event(RungEnded{harness.resident_of(usual), Rung::stop, {}});
  const Effects effects = harness.report_reading();
  EXPECT_EQ(harness.state_of(usual), Residency::cold);
  EXPECT_FALSE(find_effect<Load>(effects));
}

TEST(WarmUp, AColdResidentThatAnOperatorUnloadsIsNotWarmedUpUntilATicketUsesIt) {
  CoreHarness harness(1, Policy::affinity);
  const auto usual = harness.create_consumer({.name = "usual", .footprint = kGiB * 4, .reserved = true});
  harness.make_warm(usual);
  harness.apply_event(ServiceLost{usual, {ErrorCode::service_down, "ended"}});
  ASSERT_EQ(harness.state_of(usual), Residency::cold);
  harness.apply_event(EvictionRequested{.resident = harness.resident_of(usual)});
  EXPECT_FALSE(find_effect<Load>(harness.report_reading()))
      << "without the request it would be: it is reserved and was used";

  harness.make_warm(usual);
  harness.apply_event(ServiceLost{usual, {ErrorCode::service_down, "ended"}});
  EXPECT_TRUE(find_effect<Load>(harness.report_reading())) << "a ticket has used it since";
}

}  // namespace
}  // namespace mgpu
