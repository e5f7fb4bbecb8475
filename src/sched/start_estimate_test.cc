// Tests of estimated starts in worlds with known costs.
#include "sched/start_estimate.h"

#include <gtest/gtest.h>

#include "sched/core_harness.h"

namespace mgpu {
namespace {

// A device of 24 GiB; by the learned costs jobs take 4 s, loads 10 s and unloads 2 s. Time stands still.
struct EstimateFixture : CheckedWorld {
  DeviceId gpu;
  std::uint64_t last_ticket = 0;

  explicit EstimateFixture(Policy policy = Policy::fifo) : gpu(add_device(world, {.name = "gpu0"})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    apply_event(ReadingTaken{{.device = gpu, .taken_at = world.now, .total = kGiB * 24}});
  }

  Effects apply_event(EventPayload payload) { return CheckedWorld::apply_event(std::move(payload), 0ms); }

  ConsumerId create_consumer(std::string name, Bytes footprint, bool warm) {
    const ConsumerId id =
        add_consumer(world.registry, {.name = std::move(name), .footprint = footprint, .can_stop = true});
    const ResidentId resident = add_resident(world.registry, id, "", footprint);
    world.registry[resident].costs = {
        .load_cold = 10s, .load_cached = 10s, .unload = 2s, .run = 4s, .loads = 1, .runs = 1};
    if (warm) apply_event(ResidentFound{resident, Presence::warm});
    return id;
  }

  TicketId submit_ticket(ConsumerId id) {
    const TicketId ticket{++last_ticket};
    apply_event(TicketArrived{ticket, {.device = gpu, .consumer = id, .resident = resident_of(id)}});
    return ticket;
  }

  // From now; -1 s: no estimate.
  Duration estimated_wait(TicketId ticket) const {
    const auto start = estimated_start(world, ticket);
    return start ? *start - world.now : -1s;
  }
};

TEST(EstimatedStart, IsNoneForRunningAndUnknownTickets) {
  EstimateFixture fixture;
  const TicketId running = fixture.submit_ticket(fixture.create_consumer("chat", kGiB, true));
  EXPECT_FALSE(estimated_start(fixture.world, running));
  EXPECT_FALSE(estimated_start(fixture.world, TicketId{99}));
}

TEST(EstimatedStart, IsTheEndOfTheTicketsBefore) {
  EstimateFixture fixture;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB, true);
  fixture.submit_ticket(chat);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(chat)), 4s);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(chat)), 8s);
}

TEST(EstimatedStart, SubtractsTheElapsedRunTime) {
  EstimateFixture fixture;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB, true);
  fixture.submit_ticket(chat);
  const TicketId next = fixture.submit_ticket(chat);
  fixture.world.now = fixture.world.now + 3s;
  EXPECT_EQ(fixture.estimated_wait(next), 1s);
  fixture.world.now = fixture.world.now + 30s;  // past the expected end
  EXPECT_EQ(fixture.estimated_wait(next), 1s);
}

TEST(EstimatedStart, AddsTheEvictionAndTheLoad) {
  EstimateFixture fixture;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB * 16, true);
  const ConsumerId image = fixture.create_consumer("image", kGiB * 16, false);
  fixture.submit_ticket(chat);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(image)), 4s + 2s + 10s);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(chat)), 16s + 4s + 2s + 10s);  // loaded again
}

TEST(EstimatedStart, CountsNoLoadForALoadedResident) {
  EstimateFixture fixture;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB * 8, true);
  const ConsumerId image = fixture.create_consumer("image", kGiB * 8, false);
  fixture.submit_ticket(chat);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(image)), 14s);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(image)), 18s);
  EXPECT_EQ(fixture.estimated_wait(fixture.submit_ticket(chat)), 22s);
}

TEST(EstimatedStart, OfAPreparingTicketIsTheEndOfItsLoad) {
  EstimateFixture fixture;
  const TicketId first = fixture.submit_ticket(fixture.create_consumer("image", kGiB * 8, false));
  ASSERT_EQ(fixture.world.tickets.at(first).stage, TicketStage::preparing);
  EXPECT_EQ(fixture.estimated_wait(first), 10s);
  fixture.world.now = fixture.world.now + 7s;
  EXPECT_EQ(fixture.estimated_wait(first), 3s);
}

TEST(EstimatedStart, UnderAffinityTheTurnHolderIsServedFirst) {
  EstimateFixture fixture(Policy::affinity);
  const ConsumerId chat = fixture.create_consumer("chat", kGiB * 16, true);
  const ConsumerId image = fixture.create_consumer("image", kGiB * 16, false);
  fixture.submit_ticket(chat);
  const TicketId other = fixture.submit_ticket(image);
  const TicketId own = fixture.submit_ticket(chat);
  EXPECT_EQ(fixture.estimated_wait(own), 4s);
  EXPECT_EQ(fixture.estimated_wait(other), 8s + 2s + 10s);
}

TEST(EstimatedStart, UnderAffinityOvertakingIsBounded) {
  EstimateFixture fixture(Policy::affinity);
  fixture.world.limits.overtake_limit = 10s;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB * 16, true);
  const ConsumerId image = fixture.create_consumer("image", kGiB * 16, false);
  fixture.submit_ticket(chat);
  const TicketId other = fixture.submit_ticket(image);
  for (int i = 0; i < 50; ++i) fixture.submit_ticket(chat);
  EXPECT_LT(fixture.estimated_wait(other), 10s + 4s + 4s + 2s + 10s);
  EXPECT_GE(fixture.estimated_wait(other), 10s + 2s + 10s);
}

TEST(EstimatedStart, ContinuesAtTheSameIntervalAfterTheSimulatedTickets) {
  EstimateFixture fixture;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB, true);
  TicketId last = fixture.submit_ticket(chat);
  for (std::size_t i = 0; i < kMaxSimulatedStarts * 2; ++i) last = fixture.submit_ticket(chat);
  const Duration exact = 4s * static_cast<int>(kMaxSimulatedStarts * 2);
  EXPECT_GT(fixture.estimated_wait(last), exact * 9 / 10);
  EXPECT_LT(fixture.estimated_wait(last), exact * 11 / 10);
}

TEST(EstimatedStarts, AgreeWithTheEstimateOfEachTicket) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    EstimateFixture fixture(policy);
    const std::vector<ConsumerId> consumers{fixture.create_consumer("a", kGiB * 10, true),
                                            fixture.create_consumer("b", kGiB * 10, false),
                                            fixture.create_consumer("c", kGiB * 10, false)};
    for (std::size_t i = 0; i < 20; ++i) fixture.submit_ticket(consumers[i * 7 % 3]);
    const auto starts = estimated_starts(fixture.world, fixture.gpu);
    EXPECT_EQ(starts.size(), 19u);
    for (const auto& [ticket, at] : starts) EXPECT_EQ(estimated_start(fixture.world, ticket), at);
  }
}

TEST(EstimatedStarts, CoverAllTicketsOfALongLine) {
  EstimateFixture fixture;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB, true);
  for (std::size_t i = 0; i <= kMaxSimulatedStarts * 2; ++i) fixture.submit_ticket(chat);
  EXPECT_EQ(estimated_starts(fixture.world, fixture.gpu).size(), kMaxSimulatedStarts * 2);
}

TEST(QueueFull, RetryAfterIsTheStartOfTheFirstTicket) {
  EstimateFixture fixture;
  fixture.world.limits.max_queue = 1;
  const ConsumerId chat = fixture.create_consumer("chat", kGiB, true);
  fixture.submit_ticket(chat);
  fixture.submit_ticket(chat);
  const Effects effects = fixture.apply_event(TicketArrived{
      TicketId{9}, {.device = fixture.gpu, .consumer = chat, .resident = fixture.resident_of(chat)}});
  const auto* refused = effects.empty() ? nullptr : std::get_if<Refuse>(&effects.front());
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->error.code, ErrorCode::queue_full);
  EXPECT_EQ(refused->retry_after, 4s);
}

}  // namespace
}  // namespace mgpu
