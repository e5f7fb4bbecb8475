#include "engine/core_loop.h"

#include <variant>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

namespace asio = boost::asio;

// A loop over a world of one device without consumers.
struct LoopFixture {
  asio::io_context io;
  Clock clock;
  Journal journal{100};
  std::vector<Effect> executed;
  int settled = 0;
  std::function<void(const Effect&)> on_effect;
  CoreLoop loop{io,
                clock,
                one_device(),
                journal,
                {.execute =
                     [this](const Effect& effect) {
                       executed.push_back(effect);
                       if (on_effect) on_effect(effect);
                     },
                 .on_settled = [this] { ++settled; }}};

  static World one_device() {
    World world;
    world.limits.wait_limit = Duration{20'000};
    world.limits.policy = Policy::fifo;
    add_device(world, {.name = "gpu0", .reserve = Bytes{}});
    return world;
  }
  // Larger than the device: refused at once, once the size of the device is known.
  static TicketArrived ticket(std::uint64_t number) {
    return {.ticket = TicketId{number}, .request = {.bytes = kGiB}};
  }

  template <class Entity>
  std::size_t journaled() const {
    std::size_t count = 0;
    for (const JournalEntryPtr& entry : journal.entries()) {
      const auto* event = std::get_if<EventPayload>(&entry->payload);
      if (event != nullptr && std::holds_alternative<Entity>(*event)) ++count;
    }
    return count;
  }
};

TEST(CoreLoop, AnEventIsSteppedAndJournaledBeforeItsEffectsAreExecuted) {
  LoopFixture fixture;
  std::uint64_t journaled_at_effect = 0;
  fixture.on_effect = [&](const Effect&) { journaled_at_effect = fixture.journal.last_id(); };
  fixture.loop.dispatch(DrainRequested{});
  EXPECT_TRUE(fixture.loop.world().draining);
  EXPECT_TRUE(fixture.executed.empty());
  fixture.loop.dispatch(LoopFixture::ticket(1));  // refused: the daemon drains
  ASSERT_EQ(fixture.executed.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<Refuse>(fixture.executed[0]));
  EXPECT_EQ(journaled_at_effect, 3u);
}

TEST(CoreLoop, AnEventFromWithinAnEffectIsSteppedAfterTheOneUnderWay) {
  LoopFixture fixture;
  fixture.loop.dispatch(DrainRequested{});
  fixture.on_effect = [&](const Effect&) {
    if (fixture.executed.size() > 1) return;
    fixture.loop.dispatch(LoopFixture::ticket(2));
    EXPECT_EQ(fixture.loop.pending_events().size(), 1u);
    EXPECT_EQ(fixture.executed.size(), 1u);
  };
  const int settled_before = fixture.settled;
  fixture.loop.dispatch(LoopFixture::ticket(1));
  EXPECT_EQ(fixture.executed.size(), 2u);
  EXPECT_EQ(fixture.settled, settled_before + 1);
  EXPECT_TRUE(fixture.loop.pending_events().empty());
}

TEST(CoreLoop, ATickComesWhenTheCoreWantsOne) {
  LoopFixture fixture;
  fixture.loop.dispatch(LoopFixture::ticket(1));  // waits: the device has not been read yet
  ASSERT_EQ(fixture.loop.world().tickets.size(), 1u);
  while (!fixture.loop.world().tickets.empty() && fixture.io.run_one_for(std::chrono::seconds(5)) > 0) {
  }
  EXPECT_TRUE(fixture.loop.world().tickets.empty());  // its wait limit passed
  EXPECT_GE(fixture.journaled<Tick>(), 1u);
}

asio::awaitable<void> wait_twice(CoreLoop& loop, Instant deadline, int& waits) {
  co_await loop.wait_for_change();
  ++waits;
  co_await loop.wait_for_change(deadline);
  ++waits;
}

TEST(CoreLoop, WaitersGoOnAfterAnEventAndAtTheirDeadline) {
  LoopFixture fixture;
  int waits = 0;
  const Instant deadline = fixture.clock.now() + Duration{5'000};
  asio::co_spawn(fixture.io, wait_twice(fixture.loop, deadline, waits), asio::detached);
  fixture.io.poll();
  EXPECT_EQ(waits, 0);
  fixture.loop.dispatch(HourBegan{.hour = 7});
  while (waits < 2 && fixture.io.run_one_for(std::chrono::seconds(5)) > 0) {
  }
  EXPECT_EQ(waits, 2);
}

TEST(CoreLoop, AClosedLoopDropsEventsAndWakesItsWaiters) {
  LoopFixture fixture;
  int waits = 0;
  asio::co_spawn(fixture.io, wait_twice(fixture.loop, kNever, waits), asio::detached);
  fixture.io.poll();
  fixture.loop.close();
  fixture.io.poll();
  EXPECT_EQ(waits, 1);
  fixture.loop.dispatch(HourBegan{.hour = 7});
  EXPECT_EQ(fixture.journaled<HourBegan>(), 0u);
  fixture.loop.wake_waiters();
  fixture.io.poll();
}

}  // namespace
}  // namespace mgpu::engine
