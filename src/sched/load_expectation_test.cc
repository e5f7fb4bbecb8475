// What is expected of AI models whose size is unknown or declared too small, and what others notice of it.
#include "sched/load_expectation.h"

#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

// A device of 24 GiB with a service "chat" of several AI models, which unloads each on request.
struct SiblingHarness : CoreHarness {
  ConsumerId chat;
  Bytes measured{};  // of chat, in the readings

  explicit SiblingHarness(std::uint32_t capacity = 1)
      : CoreHarness(capacity, Policy::affinity),
        chat(add_consumer(world.registry, {.name = "chat", .concurrency = 2, .can_unload = true})) {}

  ResidentId add_ai_model(const char* name, Bytes declared) {
    return add_resident(world.registry, chat, name, declared);
  }
  Effects read() {
    return apply_event(ReadingTaken{
        {.device = gpu, .taken_at = world.now + 1ms, .total = kGiB * 24, .consumers = {{chat, measured}}}});
  }
  std::pair<TicketId, Effects> request(ResidentId id) {
    const TicketId ticket{++last_ticket};
    return {ticket, apply_event(TicketArrived{ticket, {.device = gpu, .consumer = chat, .resident = id}})};
  }
  // Loads it, as `bytes` of the service, and leaves it idle.
  void make_warm(ResidentId id, Bytes bytes) {
    const TicketId ticket = request(id).first;
    measured += bytes;
    apply_event(LoadEnded{id});
    apply_event(LeaseReleased{ticket});
    read();
  }
  Bytes footprint(ResidentId id) { return world.registry[id].footprint; }
};

TEST(LoadExpectation, IdleOnesMakeRoomForAnAiModelOfUnknownSize) {
  SiblingHarness harness;
  const ResidentId known = harness.add_ai_model("known", kGiB * 10);
  const ResidentId unknown = harness.add_ai_model("unknown", {});
  harness.make_warm(known, kGiB * 10);
  const auto [ticket, effects] = harness.request(unknown);
  ASSERT_TRUE(find_effect<Evict>(effects));
  EXPECT_EQ(find_effect<Evict>(effects)->resident, known);
  harness.apply_event(RungEnded{known, Rung::service, {}});
  harness.measured = {};
  EXPECT_TRUE(find_effect<Load>(harness.read()));
  EXPECT_EQ(harness.footprint(unknown), kGiB * 24);
}

TEST(LoadExpectation, AnUnknownSizeIsLearnedFromTheFirstReadingAfterTheLoad) {
  SiblingHarness harness;
  const ResidentId unknown = harness.add_ai_model("unknown", {});
  harness.make_warm(unknown, kGiB * 9);
  EXPECT_EQ(harness.footprint(unknown), kGiB * 9);
  EXPECT_EQ(harness.world.registry[unknown].costs.footprint, kGiB * 9);
  EXPECT_EQ(headroom(harness.world.registry, harness.gpu), kGiB * 15);
}

TEST(LoadExpectation, OnceLearnedItIsLoadedBesideOthersThatFit) {
  SiblingHarness harness;
  const ResidentId known = harness.add_ai_model("known", kGiB * 10);
  const ResidentId unknown = harness.add_ai_model("unknown", {});
  harness.make_warm(unknown, kGiB * 9);
  const auto [ticket, effects] = harness.request(known);
  EXPECT_TRUE(find_effect<Load>(effects));
  EXPECT_FALSE(find_effect<Evict>(effects));
}

TEST(LoadExpectation, OneInUseKeepsItsMemory) {
  SiblingHarness harness(2);
  const ConsumerId other = harness.create_consumer({.name = "other", .footprint = kGiB * 10});
  const ResidentId unknown = harness.add_ai_model("unknown", {});
  const TicketId running = harness.submit_ticket(other).first;
  harness.apply_event(LoadEnded{harness.resident_of(other)});
  harness.report_reading();
  const auto [ticket, effects] = harness.request(unknown);
  ASSERT_TRUE(find_effect<Load>(effects));
  EXPECT_EQ(harness.footprint(unknown), kGiB * 14);
  harness.apply_event(LeaseReleased{running});
}

TEST(LoadExpectation, ACancelledLoadLeavesNoExpectationBehind) {
  SiblingHarness harness;
  const ResidentId known = harness.add_ai_model("known", kGiB * 10);
  const ResidentId unknown = harness.add_ai_model("unknown", {});
  harness.make_warm(known, kGiB * 10);
  const TicketId ticket = harness.request(unknown).first;
  harness.apply_event(TicketCancelled{ticket});
  EXPECT_EQ(harness.footprint(unknown), Bytes{});
}

TEST(LoadExpectation, TheBytesOfAFoundAiModelOfUnknownSizeCanBeHad) {
  SiblingHarness harness;
  const ResidentId known = harness.add_ai_model("known", kGiB * 20);
  const ResidentId unknown = harness.add_ai_model("unknown", {});
  harness.measured = kGiB * 9;
  harness.read();
  harness.apply_event(ResidentFound{unknown, Presence::warm});
  const Effects effects = harness.request(known).second;
  ASSERT_TRUE(find_effect<Evict>(effects));
  EXPECT_EQ(find_effect<Evict>(effects)->resident, unknown);
  harness.apply_event(RungEnded{unknown, Rung::service, {}});
  harness.measured = {};
  EXPECT_TRUE(find_effect<Load>(harness.read()));
  EXPECT_EQ(harness.world.registry[unknown].costs.footprint, kGiB * 9) << "what its unload has freed";
}

// The siblings of an evicted one may hold more than is expected of them; that is no failure of the eviction.
TEST(LoadExpectation, AnEvictionIsOverAlthoughASiblingHoldsMoreThanExpected) {
  SiblingHarness harness;
  const ResidentId understated = harness.add_ai_model("understated", kGiB * 2);
  const ResidentId large = harness.add_ai_model("large", kGiB * 8);
  const ResidentId next = harness.add_ai_model("next", kGiB * 14);
  harness.measured = kGiB * 8;
  harness.read();
  harness.apply_event(ResidentFound{understated, Presence::warm});
  harness.make_warm(large, kGiB * 8);
  const auto [ticket, effects] = harness.request(next);
  for (const Evict& evict : effects_of<Evict>(effects))
    harness.apply_event(RungEnded{evict.resident, evict.rung, {}});
  ASSERT_EQ(harness.world.registry[large].state, Residency::unloading);
  harness.measured = harness.world.registry[understated].state == Residency::warm ? kGiB * 8 : Bytes{};
  harness.read();
  EXPECT_EQ(harness.world.registry[large].state, Residency::cold);
}

TEST(LoadExpectation, WhatWasNeverSeenLoadedIsNotLoadedAhead) {
  CoreHarness harness(1, Policy::affinity);
  const ConsumerId chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 10});
  const ConsumerId never = harness.create_consumer({.name = "never", .footprint = kGiB * 5});
  harness.make_warm(chat);
  harness.submit_ticket(chat);
  harness.world.registry[harness.resident_of(never)].costs.loads = 0;
  EXPECT_FALSE(find_effect<Load>(harness.submit_ticket(never).second));
}

// Both declare 5 GiB and hold 13. Their jobs are so short that no reading falls between a job and an
// eviction.
TEST(LoadExpectation, TwoThatDeclareTooLittleMeetOnlyOnce) {
  CoreHarness harness;
  const ConsumerId first = harness.create_consumer({.name = "first", .footprint = kGiB * 5});
  const ConsumerId second = harness.create_consumer({.name = "second", .footprint = kGiB * 5});
  const auto bytes_of = [&](ConsumerId id) {
    const auto eviction = harness.world.evictions.find(harness.resident_of(id));
    const bool is_gone = harness.state_of(id) == Residency::cold ||
                         (eviction != harness.world.evictions.end() && eviction->second.is_answered);
    return is_gone ? Bytes{} : kGiB * 13;
  };
  const auto read = [&] {
    return harness.apply_event(
        ReadingTaken{{.device = harness.gpu,
                      .taken_at = harness.world.now + 1ms,
                      .total = kGiB * 24,
                      .consumers = {{first, bytes_of(first)}, {second, bytes_of(second)}}}});
  };
  int refused = 0;
  for (int round = 0; round < 6; ++round) {
    const ConsumerId next = round % 2 == 0 ? first : second;
    const TicketId ticket = harness.submit_ticket(next).first;
    while (harness.world.tickets.contains(ticket)) {
      if (harness.state_of(next) == Residency::loading) {
        const bool fits = bytes_of(first) + bytes_of(second) <= kGiB * 24;
        refused += fits ? 0 : 1;
        harness.apply_event(LoadEnded{harness.resident_of(next),
                                      fits ? Result<void>{} : fail(ErrorCode::out_of_memory, "CUDA error")});
        if (fits) harness.apply_event(LeaseReleased{ticket}, 50ms);
      } else {
        for (const auto& [id, eviction] : std::map(harness.world.evictions))
          harness.apply_event(RungEnded{id, eviction.rung, {}});
        read();
      }
    }
  }
  EXPECT_LE(refused, 1);
  EXPECT_EQ(harness.world.registry[harness.resident_of(first)].costs.footprint, kGiB * 13);
  EXPECT_EQ(harness.world.registry[harness.resident_of(second)].costs.footprint, kGiB * 13);
}

}  // namespace
}  // namespace mgpu
