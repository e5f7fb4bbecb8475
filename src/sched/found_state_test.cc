// Tests of ResidentFound: what services do by themselves.
#include "sched/found_state.h"

#include "sched/core_harness.h"

namespace mgpu {
namespace {

struct FoundState : ::testing::Test {
  CoreHarness harness;
  ConsumerId chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 14, .can_unload = true});
  ConsumerId image = harness.create_consumer({.name = "image", .footprint = kGiB * 12});

  Resident& resident(ConsumerId id) { return harness.world.registry[harness.resident_of(id)]; }
  Effects find(ConsumerId id, Presence presence) {
    return harness.apply_event(ResidentFound{harness.resident_of(id), presence});
  }
  bool is_news(ConsumerId id, Presence presence) {
    return mgpu::is_news(harness.world, {harness.resident_of(id), presence});
  }
  Bytes free_bytes() { return headroom(harness.world.registry, harness.gpu); }
};

TEST_F(FoundState, ColdKeepsCommittedOnlyWhatReadingsShow) {
  harness.make_warm(chat);
  EXPECT_TRUE(find_effect<TakeReading>(find(chat, Presence::cold)));
  EXPECT_EQ(harness.state_of(chat), Residency::cold);
  EXPECT_EQ(free_bytes(), kGiB * 10) << "the last reading still shows its bytes";
  harness.report_reading();
  EXPECT_EQ(free_bytes(), kGiB * 24);
  const auto [ticket, effects] = harness.submit_ticket(image);
  EXPECT_TRUE(find_effect<Load>(effects)) << "nothing must be evicted";
}

TEST_F(FoundState, ColdIsLoadedAgainForTheNextTicketOnly) {
  harness.make_warm(chat);
  find(chat, Presence::cold);
  EXPECT_TRUE(resident(chat).warm_up_blocked);
  harness.report_reading();
  EXPECT_TRUE(find_effect<Load>(harness.submit_ticket(chat).second));
}

TEST_F(FoundState, ColdDuringALeaseKeepsItsBytesReserved) {
  harness.make_warm(chat);
  const TicketId ticket = harness.submit_ticket(chat).first;
  find(chat, Presence::cold);
  EXPECT_EQ(harness.state_of(chat), Residency::warm);
  harness.apply_event(
      ReadingTaken{{.device = harness.gpu, .taken_at = harness.world.now + 1ms, .total = kGiB * 24}});
  EXPECT_EQ(free_bytes(), kGiB * 10) << "its request loads it again";
  EXPECT_FALSE(is_news(chat, Presence::cold));
  harness.apply_event(LeaseReleased{ticket});
  EXPECT_TRUE(is_news(chat, Presence::cold));
  find(chat, Presence::cold);
  EXPECT_EQ(harness.state_of(chat), Residency::cold);
  EXPECT_EQ(free_bytes(), kGiB * 24);
}

TEST_F(FoundState, ALoadInsideARequestCountsAsALoad) {
  harness.make_warm(chat);
  const TicketId ticket = harness.submit_ticket(chat).first;
  const std::uint32_t loads_before = resident(chat).costs.loads;
  find(chat, Presence::cold);
  const Effects effects = find(chat, Presence::warm);
  ASSERT_TRUE(find_effect<CostsLearned>(effects));
  EXPECT_EQ(find_effect<CostsLearned>(effects)->costs.loads, loads_before + 1);
  EXPECT_FALSE(is_news(chat, Presence::warm));
  harness.apply_event(LeaseReleased{ticket});
  EXPECT_EQ(harness.state_of(chat), Residency::warm);
}

TEST_F(FoundState, ColdBeforeTheGrantLoadsForThePreparingTicket) {
  harness.make_warm(chat);
  const TicketId image_ticket = harness.submit_ticket(image).first;  // evicts chat
  harness.apply_event(RungEnded{harness.resident_of(chat), Rung::service});
  harness.report_reading();
  harness.apply_event(LoadEnded{harness.resident_of(image)});
  const TicketId waiting = harness.submit_ticket(image).first;
  find(image, Presence::cold);  // during the lease
  harness.apply_event(LeaseReleased{image_ticket});
  find(image, Presence::cold);  // during the lease of `waiting`, which was granted at once
  EXPECT_EQ(harness.world.tickets.at(waiting).stage, TicketStage::running);
  EXPECT_EQ(harness.state_of(image), Residency::warm);
}

TEST_F(FoundState, LoadingReservesItsBytes) {
  find(chat, Presence::loading);
  EXPECT_EQ(harness.state_of(chat), Residency::loading);
  EXPECT_EQ(free_bytes(), kGiB * 10);
  EXPECT_FALSE(find_effect<Load>(harness.submit_ticket(image).second)) << "its room is taken";
}

TEST_F(FoundState, LoadingCountsBytesMeasuredBeforeOnce) {
  harness.apply_event(ReadingTaken{{.device = harness.gpu,
                                    .taken_at = harness.world.now + 1ms,
                                    .total = kGiB * 24,
                                    .consumers = {{chat, kGiB * 9}}}});
  find(chat, Presence::loading);
  EXPECT_EQ(free_bytes(), kGiB * 10);
}

TEST_F(FoundState, ATicketWaitsForALoadThatSomebodyElseBegan) {
  const std::uint32_t loads_before = resident(chat).costs.loads;
  find(chat, Presence::loading);
  const auto [ticket, effects] = harness.submit_ticket(chat);
  EXPECT_FALSE(find_effect<Load>(effects));
  EXPECT_TRUE(is_granted(find(chat, Presence::warm), ticket));
  EXPECT_EQ(resident(chat).costs.loads, loads_before + 1);
}

TEST_F(FoundState, ALoadThatSomebodyElseBrokeOffIsBegunForTheTicket) {
  find(chat, Presence::loading);
  harness.submit_ticket(chat);
  EXPECT_TRUE(find_effect<Load>(find(chat, Presence::cold)));
}

TEST_F(FoundState, ALoadThatHangsHoldsNoTurnForEver) {
  find(chat, Presence::loading);
  const TicketId ticket = harness.submit_ticket(chat).first;
  const Duration limit = harness.world.registry[chat].spec.load_limit;
  EXPECT_LE(next_wakeup(harness.world), harness.world.now + limit);
  const Effects effects = harness.apply_event(Tick{}, limit);
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->ticket, ticket);
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::load_failed);
  EXPECT_FALSE(is_news(chat, Presence::loading)) << "not before the backoff ends";
}

TEST_F(FoundState, WhatTheCoreItselfLoadsIsNotReportedByListings) {
  harness.submit_ticket(chat);
  for (const Presence presence : {Presence::cold, Presence::loading, Presence::warm, Presence::parked})
    EXPECT_FALSE(is_news(chat, presence));
  find(chat, Presence::cold);
  EXPECT_EQ(harness.state_of(chat), Residency::loading);
}

TEST_F(FoundState, AFailedUnloadOfWhatHasLeftSucceeds) {
  harness.make_warm(chat);
  const TicketId ticket = harness.submit_ticket(image).first;  // evicts chat
  find(chat, Presence::cold);
  EXPECT_EQ(harness.state_of(chat), Residency::unloading) << "the ladder decides";
  const Effects answered = harness.apply_event(RungEnded{
      harness.resident_of(chat), Rung::service, fail(ErrorCode::not_found, "model 'chat' not found")});
  EXPECT_FALSE(find_effect<Evict>(answered)) << "no process must be stopped for it";
  EXPECT_TRUE(find_effect<Load>(harness.report_reading()));
  EXPECT_EQ(harness.state_of(chat), Residency::cold);
  EXPECT_TRUE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(image)}), ticket));
}

TEST_F(FoundState, AnEvictionThatFailedForWhatIsFoundColdHoldsNobodyUp) {
  const ConsumerId external =
      add_consumer(harness.world.registry, {.name = "external", .footprint = kGiB * 14, .can_unload = true});
  add_resident(harness.world.registry, external, "", kGiB * 14);
  find(external, Presence::warm);
  harness.report_reading();
  const TicketId ticket = harness.submit_ticket(image).first;
  harness.apply_event(
      RungEnded{harness.resident_of(external), Rung::service, fail(ErrorCode::service_down, "status 500")});
  EXPECT_EQ(harness.state_of(external), Residency::warm);
  find(external, Presence::cold);
  EXPECT_TRUE(find_effect<Load>(harness.report_reading()));
  EXPECT_TRUE(is_granted(harness.apply_event(LoadEnded{harness.resident_of(image)}), ticket));
}

// Found by the simulator: bytes that stay count beside the next load.
TEST_F(FoundState, WhatStaysAfterAnEvictionThatWasGivenUpCountsBesideTheNextLoad) {
  const ConsumerId ollama = harness.create_consumer({.name = "ollama", .can_unload = true});
  harness.world.registry[ollama].residents.clear();
  harness.world.registry[ollama].spec.can_stop = false;
  const ResidentId small = add_resident(harness.world.registry, ollama, "small", kGiB * 8);
  const ResidentId big = add_resident(harness.world.registry, ollama, "big", kGiB * 9);
  harness.apply_event(ResidentFound{small, Presence::warm});
  harness.report_reading();
  harness.apply_event(EvictionRequested{small});
  harness.apply_event(ResidentFound{small, Presence::cold});
  const Duration limit = harness.world.registry[ollama].spec.stop_limit;
  const auto leaked = [&] {
    return ReadingTaken{{.device = harness.gpu,
                         .taken_at = harness.world.now + 1ms,
                         .total = kGiB * 24,
                         .consumers = {{ollama, kGiB * 8}}}};
  };
  harness.apply_event(leaked(), limit);
  harness.apply_event(Tick{});
  EXPECT_EQ(harness.world.registry[small].state, Residency::cold);
  harness.apply_event(leaked());
  EXPECT_TRUE(find_effect<Load>(harness.apply_event(
      TicketArrived{TicketId{77}, {.device = harness.gpu, .consumer = ollama, .resident = big}})));
  EXPECT_EQ(free_bytes(), kGiB * 7);
}

TEST_F(FoundState, ADepartureWhileASiblingLoadsKeepsItsBytesUntilTheyAreFree) {
  const ConsumerId ollama = harness.create_consumer({.name = "ollama", .can_unload = true});
  harness.world.registry[ollama].residents.clear();
  const ResidentId small = add_resident(harness.world.registry, ollama, "small", kGiB * 8);
  const ResidentId big = add_resident(harness.world.registry, ollama, "big", kGiB * 9);
  harness.apply_event(ResidentFound{small, Presence::warm});
  harness.report_reading();
  harness.apply_event(
      TicketArrived{TicketId{77}, {.device = harness.gpu, .consumer = ollama, .resident = big}});
  harness.apply_event(ResidentFound{small, Presence::cold});
  EXPECT_EQ(free_bytes(), kGiB * 7) << "8 GiB that are still there, and 9 GiB that are loaded";
  harness.report_reading();
  EXPECT_EQ(free_bytes(), kGiB * 15);
}

TEST_F(FoundState, ParkedAndWokenByItself) {
  harness.make_warm(chat);
  find(chat, Presence::parked);
  EXPECT_EQ(harness.state_of(chat), Residency::parked);
  harness.report_reading();
  EXPECT_EQ(free_bytes(), kGiB * 24);
  find(chat, Presence::warm);
  EXPECT_EQ(harness.state_of(chat), Residency::warm);
  EXPECT_EQ(free_bytes(), kGiB * 10);
  find(chat, Presence::parked);
  const Effects effects = harness.submit_ticket(chat).second;
  harness.report_reading();
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_TRUE(find_effect<Load>(effects)->from_parked);
}

TEST_F(FoundState, TicketsOfADeletedAiModelAreRefused) {
  harness.make_warm(image);
  const TicketId running = harness.submit_ticket(image).first;
  const TicketId waiting = harness.submit_ticket(chat).first;
  const Effects effects = find(chat, Presence::gone);
  ASSERT_TRUE(find_effect<Refuse>(effects));
  EXPECT_EQ(find_effect<Refuse>(effects)->ticket, waiting);
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::not_found);
  EXPECT_TRUE(find_effect<Refuse>(harness.submit_ticket(chat).second));
  EXPECT_EQ(harness.world.tickets.at(running).stage, TicketStage::running);
  find(chat, Presence::cold);  // pulled again
  EXPECT_FALSE(find_effect<Refuse>(harness.submit_ticket(chat).second));
}

TEST_F(FoundState, ADeletedAiModelThatWasLoadedHoldsNothing) {
  harness.make_warm(chat);
  find(chat, Presence::gone);
  EXPECT_EQ(harness.state_of(chat), Residency::cold);
  harness.report_reading();
  EXPECT_EQ(free_bytes(), kGiB * 24);
}

TEST_F(FoundState, ASiblingIsNotTouched) {
  const ConsumerId ollama = harness.create_consumer({.name = "ollama", .can_unload = true});
  harness.world.registry[ollama].residents.clear();
  const ResidentId small = add_resident(harness.world.registry, ollama, "small", kGiB * 3);
  const ResidentId big = add_resident(harness.world.registry, ollama, "big", kGiB * 8);
  for (const ResidentId id : {small, big}) harness.apply_event(ResidentFound{id, Presence::warm});
  harness.report_reading();
  harness.apply_event(ResidentFound{small, Presence::cold});
  EXPECT_EQ(harness.world.registry[big].state, Residency::warm);
  harness.report_reading();
  EXPECT_EQ(free_bytes(), kGiB * 16);
}

TEST_F(FoundState, MemoryOfASiblingThatWasNotKnownYetIsNotLearned) {
  const ConsumerId ollama = harness.create_consumer({.name = "ollama", .can_unload = true});
  harness.world.registry[ollama].residents.clear();
  const ResidentId small = add_resident(harness.world.registry, ollama, "small", kGiB * 4);
  const ResidentId big = add_resident(harness.world.registry, ollama, "big", kGiB * 8);
  harness.apply_event(
      TicketArrived{TicketId{77}, {.device = harness.gpu, .consumer = ollama, .resident = small}});
  harness.apply_event(LoadEnded{small});
  harness.apply_event(LeaseReleased{TicketId{77}});
  harness.apply_event(ReadingTaken{{.device = harness.gpu,
                                    .taken_at = harness.world.now + 1ms,
                                    .total = kGiB * 24,
                                    .consumers = {{ollama, kGiB * 12}}}});
  EXPECT_FALSE(find_effect<Evict>(harness.apply_event(ResidentFound{big, Presence::warm})));
  EXPECT_EQ(free_bytes(), kGiB * 12);
}

TEST_F(FoundState, ALateListingDoesNotReviveWhatDiesWithItsProcess) {
  harness.make_warm(image);
  const Effects effects = harness.apply_event(EvictionRequested{harness.resident_of(image)});
  ASSERT_EQ(find_effect<Evict>(effects)->rung, Rung::stop);
  for (const Presence presence : {Presence::warm, Presence::loading}) find(image, presence);
  harness.apply_event(RungEnded{harness.resident_of(image), Rung::stop});
  harness.apply_event(
      ReadingTaken{{.device = harness.gpu, .taken_at = harness.world.now + 1ms, .total = kGiB * 24}});
  EXPECT_EQ(harness.state_of(image), Residency::cold);
}

}  // namespace
}  // namespace mgpu
