// When those who wait may hope to start: worlds with known costs, and what follows from them.
#include "sched/estimate.h"

#include <gtest/gtest.h>

#include "sched/step.h"

namespace mgpu {
namespace {

using namespace std::chrono_literals;

// A device of 24 GiB on which jobs take 4 s, loads 10 s and unloads 2 s, as experience says.
struct Room {
  World world;
  DeviceId gpu;
  std::uint64_t last_ticket = 0;

  explicit Room(Policy policy = Policy::fifo) : gpu(add_device(world, {.name = "gpu0"})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    happens(ReadingTaken{{.device = gpu, .taken_at = world.now, .total = kGiB * 24}});
  }

  void happens(EventPayload what) {
    step(world, {.at = world.now, .payload = std::move(what)});
    ASSERT_EQ(broken_invariant(world), "");
  }

  ConsumerId consumer(std::string name, Bytes footprint, bool warm) {
    const ConsumerId id =
        add_consumer(world.registry, {.name = std::move(name), .footprint = footprint, .can_stop = true});
    const ResidentId resident = add_resident(world.registry, id, "", footprint);
    world.registry[resident].costs = {
        .load_cold = 10s, .load_cached = 10s, .unload = 2s, .run = 4s, .loads = 1, .runs = 1};
    if (warm) happens(FoundWarm{resident});
    return id;
  }

  TicketId asks(ConsumerId id) {
    const TicketId ticket{++last_ticket};
    happens(TicketArrived{ticket,
                          {.device = gpu, .consumer = id, .resident = world.registry[id].residents.front()}});
    return ticket;
  }

  // From now; -1 s: none.
  Duration wait(TicketId ticket) const {
    const auto start = estimated_start(world, ticket);
    return start ? *start - world.now : -1s;
  }
};

TEST(EstimatedStart, IsNoneForThoseWhoRunOrAreUnknown) {
  Room room;
  const TicketId runs = room.asks(room.consumer("chat", kGiB, true));
  EXPECT_FALSE(estimated_start(room.world, runs));
  EXPECT_FALSE(estimated_start(room.world, TicketId{99}));
}

TEST(EstimatedStart, IsTheEndOfThoseBefore) {
  Room room;
  const ConsumerId chat = room.consumer("chat", kGiB, true);
  room.asks(chat);
  EXPECT_EQ(room.wait(room.asks(chat)), 4s);
  EXPECT_EQ(room.wait(room.asks(chat)), 8s);
}

TEST(EstimatedStart, CountsWhatRanAlready) {
  Room room;
  const ConsumerId chat = room.consumer("chat", kGiB, true);
  room.asks(chat);
  const TicketId next = room.asks(chat);
  room.world.now = room.world.now + 3s;
  EXPECT_EQ(room.wait(next), 1s);
  room.world.now = room.world.now + 30s;  // it outlasted what is usual
  EXPECT_EQ(room.wait(next), 1s);
}

TEST(EstimatedStart, AddsTheLoadAndTheWayOutOfWhoMustGo) {
  Room room;
  const ConsumerId chat = room.consumer("chat", kGiB * 16, true);
  const ConsumerId image = room.consumer("image", kGiB * 16, false);
  room.asks(chat);
  EXPECT_EQ(room.wait(room.asks(image)), 4s + 2s + 10s);
  EXPECT_EQ(room.wait(room.asks(chat)), 16s + 4s + 2s + 10s);  // it has to come back
}

TEST(EstimatedStart, DoesNotLoadWhatIsThereOrTwice) {
  Room room;
  const ConsumerId chat = room.consumer("chat", kGiB * 8, true);
  const ConsumerId image = room.consumer("image", kGiB * 8, false);
  room.asks(chat);
  EXPECT_EQ(room.wait(room.asks(image)), 14s);
  EXPECT_EQ(room.wait(room.asks(image)), 18s);
  EXPECT_EQ(room.wait(room.asks(chat)), 22s);
}

TEST(EstimatedStart, OfWhoIsMadeReadyIsTheRestOfItsLoad) {
  Room room;
  const TicketId first = room.asks(room.consumer("image", kGiB * 8, false));
  ASSERT_EQ(room.world.tickets.at(first).stage, Stage::preparing);
  EXPECT_EQ(room.wait(first), 10s);
  room.world.now = room.world.now + 7s;
  EXPECT_EQ(room.wait(first), 3s);
}

TEST(EstimatedStart, UnderAffinityTheTurnServesItsOwnFirst) {
  Room room(Policy::affinity);
  const ConsumerId chat = room.consumer("chat", kGiB * 16, true);
  const ConsumerId image = room.consumer("image", kGiB * 16, false);
  room.asks(chat);
  const TicketId other = room.asks(image);
  const TicketId own = room.asks(chat);
  EXPECT_EQ(room.wait(own), 4s);
  EXPECT_EQ(room.wait(other), 8s + 2s + 10s);
}

TEST(EstimatedStart, UnderAffinityNobodyIsPassedForEver) {
  Room room(Policy::affinity);
  room.world.limits.overtake_limit = 10s;
  const ConsumerId chat = room.consumer("chat", kGiB * 16, true);
  const ConsumerId image = room.consumer("image", kGiB * 16, false);
  room.asks(chat);
  const TicketId other = room.asks(image);
  for (int i = 0; i < 50; ++i) room.asks(chat);
  EXPECT_LT(room.wait(other), 10s + 4s + 4s + 2s + 10s);
  EXPECT_GE(room.wait(other), 10s + 2s + 10s);
}

TEST(EstimatedStart, GoesOnAtTheSamePaceBehindThoseThatItPlaysThrough) {
  Room room;
  const ConsumerId chat = room.consumer("chat", kGiB, true);
  TicketId last = room.asks(chat);
  for (std::size_t i = 0; i < kPlayedThrough * 2; ++i) last = room.asks(chat);
  const Duration exact = 4s * static_cast<int>(kPlayedThrough * 2);
  EXPECT_GT(room.wait(last), exact * 9 / 10);
  EXPECT_LT(room.wait(last), exact * 11 / 10);
}

TEST(EstimatedStarts, AgreeWithWhatEachIsTold) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    Room room(policy);
    const std::vector<ConsumerId> consumers{room.consumer("a", kGiB * 10, true),
                                            room.consumer("b", kGiB * 10, false),
                                            room.consumer("c", kGiB * 10, false)};
    for (std::size_t i = 0; i < 20; ++i) room.asks(consumers[i * 7 % 3]);
    const auto starts = estimated_starts(room.world, room.gpu);
    EXPECT_EQ(starts.size(), 19u);
    for (const auto& [ticket, at] : starts) EXPECT_EQ(estimated_start(room.world, ticket), at);
  }
}

TEST(EstimatedStarts, AreForEverybodyHoweverLongTheLine) {
  Room room;
  const ConsumerId chat = room.consumer("chat", kGiB, true);
  for (std::size_t i = 0; i <= kPlayedThrough * 2; ++i) room.asks(chat);
  EXPECT_EQ(estimated_starts(room.world, room.gpu).size(), kPlayedThrough * 2);
}

TEST(QueueFull, AdvisesToComeBackWhenTheFirstOfTheLineStarts) {
  Room room;
  room.world.limits.max_queue = 1;
  const ConsumerId chat = room.consumer("chat", kGiB, true);
  room.asks(chat);
  room.asks(chat);
  const Effects effects = step(
      room.world,
      {.at = room.world.now,
       .payload = TicketArrived{
           TicketId{9},
           {.device = room.gpu, .consumer = chat, .resident = room.world.registry[chat].residents.front()}}});
  const auto* refused = effects.empty() ? nullptr : std::get_if<Refuse>(&effects.front());
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->error.code, ErrorCode::queue_full);
  EXPECT_EQ(refused->retry_after, 4s);
}

}  // namespace
}  // namespace mgpu
