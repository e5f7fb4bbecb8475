// On which of its devices a consumer is served that only takes leases.
#include "sched/placement.h"

#include "sched/home_for_tests.h"

namespace mgpu {
namespace {

// Two devices of 24 GiB; foreign programs hold most of the first.
struct Render {
  World world;
  DeviceId first = add_device(world, {.name = "gpu0"}), second = add_device(world, {.name = "gpu1"});
  ConsumerId render = add_consumer(
      world.registry,
      {.name = "render", .device = first, .devices = {first, second}, .footprint = kGiB, .lease_only = true});
  Render() {
    world.now = {1'000'000};
    read(first, kGiB * 20), read(second, kGiB * 4);
  }
  Effects happens(EventPayload what) {
    Effects effects = step(world, {.at = world.now + 1ms, .payload = std::move(what)});
    EXPECT_EQ(broken_invariant(world), "");
    return effects;
  }
  void read(DeviceId device, Bytes foreign) {
    happens(ReadingTaken{
        {.device = device, .taken_at = world.now + 1ms, .total = kGiB * 24, .foreign = foreign}});
  }
};

TEST(Placement, LooksAtTheBytesThatAreAskedFor) {
  Render story;
  EXPECT_EQ(choose_device(story.world, {.consumer = story.render}), story.first);
  EXPECT_EQ(choose_device(story.world, {.consumer = story.render, .bytes = kGiB * 10}), story.second);
  const Effects effects =
      story.happens(TicketArrived{TicketId{1}, {.consumer = story.render, .bytes = kGiB * 10}});
  EXPECT_TRUE(granted(effects, TicketId{1}));
  EXPECT_EQ(story.world.tickets.at(TicketId{1}).ask.device, story.second);
}

TEST(Placement, GoesWhereItWasAskedToBe) {
  Render story;
  const Effects effects = story.happens(TicketArrived{
      TicketId{1}, {.device = story.second, .consumer = story.render, .device_requested = true}});
  EXPECT_TRUE(granted(effects, TicketId{1}));
  EXPECT_EQ(story.world.tickets.at(TicketId{1}).ask.device, story.second);
}

}  // namespace
}  // namespace mgpu
