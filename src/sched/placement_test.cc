// Tests of the placement of a lease-only consumer.
#include "sched/placement.h"

#include "sched/core_harness.h"

namespace mgpu {
namespace {

// Two devices of 24 GiB; foreign programs hold most of the first.
struct PlacementFixture : CheckedWorld {
  DeviceId first = add_device(world, {.name = "gpu0"}), second = add_device(world, {.name = "gpu1"});
  ConsumerId render = add_consumer(
      world.registry,
      {.name = "render", .device = first, .devices = {first, second}, .footprint = kGiB, .lease_only = true});
  PlacementFixture() {
    world.now = {1'000'000};
    report_reading(first, kGiB * 20), report_reading(second, kGiB * 4);
  }
  void report_reading(DeviceId device, Bytes foreign) {
    apply_event(ReadingTaken{
        {.device = device, .taken_at = world.now + 1ms, .total = kGiB * 24, .foreign = foreign}});
  }
};

TEST(Placement, DependsOnTheRequestedBytes) {
  PlacementFixture fixture;
  EXPECT_EQ(choose_device(fixture.world, {.consumer = fixture.render}), fixture.first);
  EXPECT_EQ(choose_device(fixture.world, {.consumer = fixture.render, .bytes = kGiB * 10}), fixture.second);
  const Effects effects =
      fixture.apply_event(TicketArrived{TicketId{1}, {.consumer = fixture.render, .bytes = kGiB * 10}});
  EXPECT_TRUE(is_granted(effects, TicketId{1}));
  EXPECT_EQ(fixture.world.tickets.at(TicketId{1}).request.device, fixture.second);
}

TEST(Placement, UsesTheRequestedDevice) {
  PlacementFixture fixture;
  const Effects effects = fixture.apply_event(TicketArrived{
      TicketId{1}, {.device = fixture.second, .consumer = fixture.render, .device_requested = true}});
  EXPECT_TRUE(is_granted(effects, TicketId{1}));
  EXPECT_EQ(fixture.world.tickets.at(TicketId{1}).request.device, fixture.second);
}

}  // namespace
}  // namespace mgpu
