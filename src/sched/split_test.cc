// A consumer that needs several devices at once: it gets a turn and room on all of them, or nothing.
#include "sched/home_for_tests.h"
#include "sched/order.h"

namespace mgpu {
namespace {

// Two devices of 24 GiB. Readings show what is warm.
struct TwoDevices {
  World world;
  DeviceId first = add_device(world, {.name = "gpu0"}), second = add_device(world, {.name = "gpu1"});
  std::uint64_t last_ticket = 0;

  explicit TwoDevices(Policy policy = Policy::affinity) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    read(first), read(second);
  }

  ConsumerId consumer(Consumer spec) {
    spec.can_stop = true;
    const Bytes footprint = spec.footprint;
    const ConsumerId id = add_consumer(world.registry, std::move(spec));
    add_resident(world.registry, id, "", footprint);
    return id;
  }
  // Two thirds of it on the first device.
  ConsumerId split(const char* name = "large", Bytes footprint = kGiB * 30) {
    return consumer({.name = name,
                     .device = first,
                     .devices = {first, second},
                     .split = {2, 1},
                     .footprint = footprint,
                     .working = kGiB * 3});
  }
  ConsumerId small(const char* name, DeviceId device) {
    return consumer({.name = name, .device = device, .footprint = kGiB * 10});
  }

  Effects happens(EventPayload what, Duration later = 1ms) {
    Effects effects = step(world, {.at = world.now + later, .payload = std::move(what)});
    EXPECT_EQ(broken_invariant(world), "");
    return effects;
  }
  Effects read(DeviceId device, Bytes foreign = {}) {
    Reading reading{.device = device, .taken_at = world.now + 1ms, .total = kGiB * 24, .foreign = foreign};
    for (std::size_t i = 0; i < world.registry.consumers.size(); ++i) {
      const ConsumerState& consumer = world.registry.consumers[i];
      const Resident& resident = world.registry[consumer.residents[0]];
      const Bytes bytes = device_part(consumer.spec, device, resident.footprint);
      if (resident.state == Residency::warm && bytes > Bytes{})
        reading.consumers.push_back({ConsumerId{i}, bytes});
    }
    return happens(ReadingTaken{reading});
  }
  Effects read_both() {
    Effects effects = read(first);
    for (Effect& effect : read(second)) effects.push_back(std::move(effect));
    return effects;
  }
  ResidentId resident(ConsumerId id) { return world.registry[id].residents[0]; }
  std::pair<TicketId, Effects> asks(ConsumerId id) {
    const TicketId ticket{++last_ticket};
    return {
        ticket,
        happens(TicketArrived{
            ticket, {.device = world.registry[id].spec.device, .consumer = id, .resident = resident(id)}})};
  }
  TicketId runs(ConsumerId id) {
    const auto [ticket, effects] = asks(id);
    happens(LoadEnded{resident(id)});
    read_both();
    EXPECT_EQ(world.tickets.at(ticket).stage, Stage::running);
    return ticket;
  }
  Stage stage(TicketId ticket) { return world.tickets.at(ticket).stage; }
};

TEST(Split, HoldsItsPartOnEachDevice) {
  TwoDevices house;
  house.runs(house.split());
  EXPECT_EQ(committed_bytes(house.world.registry, house.first), kGiB * 22);
  EXPECT_EQ(committed_bytes(house.world.registry, house.second), kGiB * 11);
}

TEST(Split, HoldsNothingWhileItWaitsForTheOtherDevice) {
  TwoDevices house;
  const ConsumerId large = house.split(), here = house.small("here", house.first);
  const TicketId there = house.runs(house.small("there", house.second));
  const auto [waits, effects] = house.asks(large);
  EXPECT_EQ(house.stage(waits), Stage::waiting);
  EXPECT_EQ(committed_bytes(house.world.registry, house.first), Bytes{});

  const TicketId other = house.runs(here);  // the first device is free for others meanwhile
  house.happens(LeaseReleased{there});
  EXPECT_EQ(house.stage(waits), Stage::waiting);
  house.happens(LeaseReleased{other});
  EXPECT_EQ(house.stage(waits), Stage::preparing);
}

TEST(Split, EvictsOnEachDeviceAndLoadsWhenBothWereSeenFree) {
  TwoDevices house;
  const ConsumerId here = house.small("here", house.first), there = house.small("there", house.second);
  house.happens(LeaseReleased{house.runs(here)});
  house.happens(LeaseReleased{house.runs(there)});
  house.read_both();
  const auto [ticket, effects] = house.asks(house.split("large", kGiB * 42));  // 28 + 2 and 14 + 1: too large
  EXPECT_EQ(the<Refuse>(effects)->error.code, ErrorCode::never_fits);

  const ConsumerId large = house.split("large", kGiB * 33);  // 22 + 2 and 11 + 1
  const auto [waits, begun] = house.asks(large);
  ASSERT_EQ(all<Evict>(begun).size(), 1U) << "on the second there is room beside";
  EXPECT_EQ(all<Evict>(begun)[0].resident, house.resident(here));
  house.happens(RungEnded{house.resident(here), Rung::stop, {}});
  EXPECT_FALSE(the<Load>(house.read(house.second)));
  EXPECT_TRUE(the<Load>(house.read(house.first)));
}

TEST(Split, NobodyLeavesIfOneDeviceCannotMakeRoom) {
  TwoDevices house;
  const ConsumerId here = house.small("here", house.first);
  house.happens(LeaseReleased{house.runs(here)});
  house.read(house.second, kGiB * 20);
  const auto [waits, effects] = house.asks(house.split());
  EXPECT_FALSE(the<Evict>(effects)) << "the second device is full of what is not ours";
  EXPECT_EQ(house.stage(waits), Stage::waiting);
}

TEST(Split, IsEvictedForSomebodyOnOneDeviceAndSeenFreeOnBoth) {
  TwoDevices house;
  const ConsumerId large = house.split(), there = house.small("there", house.second);
  house.happens(LeaseReleased{house.runs(large)});
  house.read_both();
  house.world.registry.readings[1].foreign = kGiB * 8;
  const auto [ticket, effects] = house.asks(there);
  ASSERT_TRUE(the<Evict>(effects));
  house.happens(RungEnded{house.resident(large), Rung::stop, {}});
  EXPECT_FALSE(the<Evicted>(house.read(house.second)));
  EXPECT_TRUE(the<Evicted>(house.read(house.first)));
}

TEST(Split, IsNotStarvedByTwoDevicesThatAreNeverFreeAtOnce) {
  TwoDevices house;
  house.world.limits.overtake_limit = 2s;
  const ConsumerId here = house.small("here", house.first), there = house.small("there", house.second);
  house.happens(LeaseReleased{house.runs(here)});
  house.happens(LeaseReleased{house.runs(there)});
  house.read_both();
  TicketId holds_first = house.asks(here).first, holds_second = house.asks(there).first;
  const auto [waits, effects] = house.asks(house.split("large", kGiB * 6));
  // Whoever ends is followed by the next of the same consumer, in turn on the one device and the other.
  for (int i = 0; i < 100 && house.stage(waits) == Stage::waiting; ++i) {
    const TicketId next_here = house.asks(here).first, next_there = house.asks(there).first;
    house.happens(LeaseReleased{holds_first}, 100ms);
    if (house.stage(next_here) == Stage::running) holds_first = next_here;
    if (house.stage(waits) != Stage::waiting) break;
    house.happens(LeaseReleased{holds_second}, 100ms);
    if (house.stage(next_there) == Stage::running) holds_second = next_there;
  }
  EXPECT_EQ(house.stage(waits), Stage::preparing);
  EXPECT_LE(house.world.now - house.world.tickets.at(waits).arrived, 3s);
}

TEST(Split, UnderFifoItPassesNobodyOnAnyDevice) {
  TwoDevices house(Policy::fifo);
  const TicketId holds = house.runs(house.small("holds", house.second));
  const auto [before, none] = house.asks(house.small("before", house.second));
  const auto [waits, no_more] = house.asks(house.split());
  const auto [after, nothing] = house.asks(house.small("after", house.first));
  EXPECT_EQ(house.stage(after), Stage::waiting) << "it came after one that waits for this device, too";
  house.happens(LeaseReleased{holds});
  EXPECT_EQ(house.stage(before), Stage::preparing);
  EXPECT_EQ(house.stage(waits), Stage::waiting);
}

TEST(Split, TwoOfThemInOppositeOrderDoNotWaitForEachOther) {
  TwoDevices house;
  const ConsumerId one = house.split("one", kGiB * 6);
  const ConsumerId other = house.consumer({.name = "other",
                                           .device = house.second,
                                           .devices = {house.second, house.first},
                                           .split = {1, 1},
                                           .footprint = kGiB * 6});
  const auto [first, effects] = house.asks(one);
  const auto [second, none] = house.asks(other);
  house.happens(LoadEnded{house.resident(one)});
  house.read_both();
  ASSERT_EQ(house.stage(first), Stage::running);
  house.happens(LeaseReleased{first});
  house.read_both();
  EXPECT_EQ(house.stage(second), Stage::preparing);
}

// Found by the property that nobody starves: the first device stood idle until the split one had borne its
// bound.
TEST(Split, KeepsNobodyWaitingWhoHasHadItsTurnWhileItWaitsForTheOtherDevice) {
  TwoDevices house;
  const TicketId there = house.runs(house.small("there", house.second));
  const ConsumerId here =
      house.consumer({.name = "here", .device = house.first, .footprint = kGiB, .max_turn = 1ms});
  const TicketId before = house.runs(here);
  const auto [waits, nothing] = house.asks(house.split("large", kGiB * 12));
  const auto [next, effects] = house.asks(here);
  house.happens(LeaseReleased{before});
  EXPECT_EQ(house.stage(next), Stage::running);
  house.happens(LeaseReleased{next}), house.happens(LeaseReleased{there});
  EXPECT_NE(house.stage(waits), Stage::waiting);
}

TEST(Split, LearnsSoMuchThatEachPartCoversWhatIsMeasured) {
  TwoDevices house;
  const ConsumerId large = house.split("large", kGiB * 12);  // 8 + 4
  house.asks(large);
  house.happens(LoadEnded{house.resident(large)});
  const auto reads = [&](DeviceId device, Bytes bytes) {
    house.happens(ReadingTaken{{.device = device,
                                .taken_at = house.world.now + 1ms,
                                .total = kGiB * 24,
                                .consumers = {{large, bytes}}}});
  };
  house.happens(LeaseReleased{TicketId{house.last_ticket}});
  reads(house.first, kGiB * 7), reads(house.second, kGiB * 5);
  EXPECT_EQ(house.world.registry[house.resident(large)].footprint, kGiB * 15);
}

}  // namespace
}  // namespace mgpu
