// Tests of split consumers, which need several devices at once: a turn and room on all of them, or on none.
#include "sched/core_harness.h"
#include "sched/line_order.h"

namespace mgpu {
namespace {

// Two devices of 24 GiB. Readings show warm residents at their footprint.
struct SplitFixture : CheckedWorld {
  DeviceId first = add_device(world, {.name = "gpu0"}), second = add_device(world, {.name = "gpu1"});
  std::uint64_t last_ticket = 0;

  explicit SplitFixture(Policy policy = Policy::affinity) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    report_reading(first), report_reading(second);
  }

  ConsumerId create_consumer(Consumer spec) {
    spec.can_stop = true;
    const Bytes footprint = spec.footprint;
    const ConsumerId id = add_consumer(world.registry, std::move(spec));
    add_resident(world.registry, id, "", footprint);
    return id;
  }
  // Two thirds of its memory are on the first device.
  ConsumerId create_split(const char* name = "large", Bytes footprint = kGiB * 30) {
    return create_consumer({.name = name,
                            .device = first,
                            .devices = {first, second},
                            .split = {2, 1},
                            .footprint = footprint,
                            .working = kGiB * 3});
  }
  ConsumerId create_small(const char* name, DeviceId device) {
    return create_consumer({.name = name, .device = device, .footprint = kGiB * 10});
  }

  Effects report_reading(DeviceId device, Bytes foreign = {}) {
    return apply_event(ReadingTaken{reading_of_warm_residents(world, device, world.now + 1ms, foreign)});
  }
  Effects report_both_readings() {
    Effects effects = report_reading(first);
    for (Effect& effect : report_reading(second)) effects.push_back(std::move(effect));
    return effects;
  }
  std::pair<TicketId, Effects> submit_ticket(ConsumerId id) {
    const TicketId ticket{++last_ticket};
    return {ticket,
            apply_event(TicketArrived{
                ticket,
                {.device = world.registry[id].spec.device, .consumer = id, .resident = resident_of(id)}})};
  }
  TicketId run_ticket(ConsumerId id) {
    const auto [ticket, effects] = submit_ticket(id);
    apply_event(LoadEnded{resident_of(id)});
    report_both_readings();
    EXPECT_EQ(world.tickets.at(ticket).stage, TicketStage::running);
    return ticket;
  }
  TicketStage stage_of(TicketId ticket) { return world.tickets.at(ticket).stage; }
};

TEST(Split, CommitsItsPartOnEachDevice) {
  SplitFixture fixture;
  fixture.run_ticket(fixture.create_split());
  EXPECT_EQ(committed_bytes(fixture.world.registry, fixture.first), kGiB * 22);
  EXPECT_EQ(committed_bytes(fixture.world.registry, fixture.second), kGiB * 11);
}

TEST(Split, HoldsNothingWhileItWaitsForTheOtherDevice) {
  SplitFixture fixture;
  const ConsumerId large = fixture.create_split(), on_first = fixture.create_small("first", fixture.first);
  const TicketId on_second = fixture.run_ticket(fixture.create_small("second", fixture.second));
  const auto [waits, effects] = fixture.submit_ticket(large);
  EXPECT_EQ(fixture.stage_of(waits), TicketStage::waiting);
  EXPECT_EQ(committed_bytes(fixture.world.registry, fixture.first), Bytes{});

  const TicketId other = fixture.run_ticket(on_first);  // the first device is free for others meanwhile
  fixture.apply_event(LeaseReleased{on_second});
  EXPECT_EQ(fixture.stage_of(waits), TicketStage::waiting);
  fixture.apply_event(LeaseReleased{other});
  EXPECT_EQ(fixture.stage_of(waits), TicketStage::preparing);
}

TEST(Split, LoadsWhenReadingsShowRoomOnBothDevices) {
  SplitFixture fixture;
  const ConsumerId on_first = fixture.create_small("first", fixture.first),
                   on_second = fixture.create_small("second", fixture.second);
  fixture.apply_event(LeaseReleased{fixture.run_ticket(on_first)});
  fixture.apply_event(LeaseReleased{fixture.run_ticket(on_second)});
  fixture.report_both_readings();
  const auto [ticket, effects] =
      fixture.submit_ticket(fixture.create_split("large", kGiB * 42));  // 28 + 2 and 14 + 1: too large
  EXPECT_EQ(find_effect<Refuse>(effects)->error.code, ErrorCode::never_fits);

  const ConsumerId large = fixture.create_split("large", kGiB * 33);  // 22 + 2 and 11 + 1
  const auto [waits, begun] = fixture.submit_ticket(large);
  ASSERT_EQ(effects_of<Evict>(begun).size(), 1U) << "the second device has enough room";
  EXPECT_EQ(effects_of<Evict>(begun)[0].resident, fixture.resident_of(on_first));
  fixture.apply_event(RungEnded{fixture.resident_of(on_first), Rung::stop, {}});
  EXPECT_FALSE(find_effect<Load>(fixture.report_reading(fixture.second)));
  EXPECT_TRUE(find_effect<Load>(fixture.report_reading(fixture.first)));
}

TEST(Split, NothingIsEvictedIfOneDeviceCannotMakeRoom) {
  SplitFixture fixture;
  const ConsumerId on_first = fixture.create_small("first", fixture.first);
  fixture.apply_event(LeaseReleased{fixture.run_ticket(on_first)});
  fixture.report_reading(fixture.second, kGiB * 20);
  const auto [waits, effects] = fixture.submit_ticket(fixture.create_split());
  EXPECT_FALSE(find_effect<Evict>(effects)) << "the second device is full of foreign memory";
  EXPECT_EQ(fixture.stage_of(waits), TicketStage::waiting);
}

TEST(Split, ItsEvictionNeedsReadingsOfBothDevices) {
  SplitFixture fixture;
  const ConsumerId large = fixture.create_split(), on_second = fixture.create_small("second", fixture.second);
  fixture.apply_event(LeaseReleased{fixture.run_ticket(large)});
  fixture.report_both_readings();
  fixture.world.registry.readings[1].foreign = kGiB * 8;
  const auto [ticket, effects] = fixture.submit_ticket(on_second);
  ASSERT_TRUE(find_effect<Evict>(effects));
  fixture.apply_event(RungEnded{fixture.resident_of(large), Rung::stop, {}});
  EXPECT_FALSE(find_effect<Evicted>(fixture.report_reading(fixture.second)));
  EXPECT_TRUE(find_effect<Evicted>(fixture.report_reading(fixture.first)));
}

TEST(Split, IsNotStarvedByDevicesThatAreNeverFreeAtTheSameTime) {
  SplitFixture fixture;
  fixture.world.limits.overtake_limit = 2s;
  const ConsumerId on_first = fixture.create_small("first", fixture.first),
                   on_second = fixture.create_small("second", fixture.second);
  fixture.apply_event(LeaseReleased{fixture.run_ticket(on_first)});
  fixture.apply_event(LeaseReleased{fixture.run_ticket(on_second)});
  fixture.report_both_readings();
  TicketId holds_first = fixture.submit_ticket(on_first).first,
           holds_second = fixture.submit_ticket(on_second).first;
  const auto [waits, effects] = fixture.submit_ticket(fixture.create_split("large", kGiB * 6));
  // Each lease is followed by the next one of the same consumer, alternating between the devices.
  for (int i = 0; i < 100 && fixture.stage_of(waits) == TicketStage::waiting; ++i) {
    const TicketId next_on_first = fixture.submit_ticket(on_first).first,
                   next_on_second = fixture.submit_ticket(on_second).first;
    fixture.apply_event(LeaseReleased{holds_first}, 100ms);
    if (fixture.stage_of(next_on_first) == TicketStage::running) holds_first = next_on_first;
    if (fixture.stage_of(waits) != TicketStage::waiting) break;
    fixture.apply_event(LeaseReleased{holds_second}, 100ms);
    if (fixture.stage_of(next_on_second) == TicketStage::running) holds_second = next_on_second;
  }
  EXPECT_EQ(fixture.stage_of(waits), TicketStage::preparing);
  EXPECT_LE(fixture.world.now - fixture.world.tickets.at(waits).arrived_at, 3s);
}

TEST(Split, UnderFifoItOvertakesNoTicketOnAnyDevice) {
  SplitFixture fixture(Policy::fifo);
  const TicketId holds = fixture.run_ticket(fixture.create_small("holds", fixture.second));
  const auto [before, none] = fixture.submit_ticket(fixture.create_small("before", fixture.second));
  const auto [waits, no_more] = fixture.submit_ticket(fixture.create_split());
  const auto [after, nothing] = fixture.submit_ticket(fixture.create_small("after", fixture.first));
  EXPECT_EQ(fixture.stage_of(after), TicketStage::waiting)
      << "it arrived after a ticket that waits for this device, too";
  fixture.apply_event(LeaseReleased{holds});
  EXPECT_EQ(fixture.stage_of(before), TicketStage::preparing);
  EXPECT_EQ(fixture.stage_of(waits), TicketStage::waiting);
}

TEST(Split, TwoWithOppositeDeviceOrderDoNotDeadlock) {
  SplitFixture fixture;
  const ConsumerId one = fixture.create_split("one", kGiB * 6);
  const ConsumerId other = fixture.create_consumer({.name = "other",
                                                    .device = fixture.second,
                                                    .devices = {fixture.second, fixture.first},
                                                    .split = {1, 1},
                                                    .footprint = kGiB * 6});
  const auto [first, effects] = fixture.submit_ticket(one);
  const auto [second, none] = fixture.submit_ticket(other);
  fixture.apply_event(LoadEnded{fixture.resident_of(one)});
  fixture.report_both_readings();
  ASSERT_EQ(fixture.stage_of(first), TicketStage::running);
  fixture.apply_event(LeaseReleased{first});
  fixture.report_both_readings();
  EXPECT_EQ(fixture.stage_of(second), TicketStage::preparing);
}

// Found by the starvation property test: the first device was idle until the split ticket's overtake bound.
TEST(Split, MaxTurnLeavesNoDeviceIdleWhileItWaitsForTheOtherDevice) {
  SplitFixture fixture;
  const TicketId on_second = fixture.run_ticket(fixture.create_small("second", fixture.second));
  const ConsumerId on_first =
      fixture.create_consumer({.name = "first", .device = fixture.first, .footprint = kGiB, .max_turn = 1ms});
  const TicketId before = fixture.run_ticket(on_first);
  const auto [waits, nothing] = fixture.submit_ticket(fixture.create_split("large", kGiB * 12));
  const auto [next, effects] = fixture.submit_ticket(on_first);
  fixture.apply_event(LeaseReleased{before});
  EXPECT_EQ(fixture.stage_of(next), TicketStage::running);
  fixture.apply_event(LeaseReleased{next}), fixture.apply_event(LeaseReleased{on_second});
  EXPECT_NE(fixture.stage_of(waits), TicketStage::waiting);
}

TEST(Split, LearnsAFootprintWhosePartsCoverTheMeasuredBytes) {
  SplitFixture fixture;
  const ConsumerId large = fixture.create_split("large", kGiB * 12);  // 8 + 4
  fixture.submit_ticket(large);
  fixture.apply_event(LoadEnded{fixture.resident_of(large)});
  const auto report_measured = [&](DeviceId device, Bytes bytes) {
    fixture.apply_event(ReadingTaken{{.device = device,
                                      .taken_at = fixture.world.now + 1ms,
                                      .total = kGiB * 24,
                                      .consumers = {{large, bytes}}}});
  };
  fixture.apply_event(LeaseReleased{TicketId{fixture.last_ticket}});
  report_measured(fixture.first, kGiB * 7), report_measured(fixture.second, kGiB * 5);
  EXPECT_EQ(fixture.world.registry[fixture.resident_of(large)].footprint, kGiB * 15);
}

}  // namespace
}  // namespace mgpu
