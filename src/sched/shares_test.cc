// Whose next ticket stands where, and that the line remembers nobody for longer than it matters.
#include "sched/shares.h"

#include "sched/home_for_tests.h"

namespace mgpu {
namespace {

const UserClass kAda{.user = 1, .priority = Priority::normal};

TEST(UserShares, TheNextTicketStandsBehindTheShareOfTheFormer) {
  UserShares shares;
  EXPECT_EQ(shares.place(kAda, {1'000}), Instant{1'000});
  shares.take(kAda, {6'000}, {5'000}, {1'000});
  EXPECT_EQ(shares.place(kAda, {1'001}), Instant{6'000});
  EXPECT_EQ(shares.place({.user = 1, .priority = Priority::batch}, {1'001}), Instant{1'001});
  EXPECT_EQ(shares.place({.user = 2, .priority = Priority::normal}, {1'001}), Instant{1'001});
}

TEST(UserShares, ThereIsAMostOfThem) {
  UserShares shares;
  for (std::uint32_t i = 1; i <= 2 * kUsersRemembered; ++i)
    shares.take({.user = i, .priority = Priority::normal}, {10'000'000 + i}, {5'000'000 + i}, {1'000});
  EXPECT_EQ(shares.size(), kUsersRemembered);
  const UserClass last{.user = 2 * kUsersRemembered, .priority = Priority::normal};
  EXPECT_GT(shares.place(last, {2'000}), Instant{2'000});
}

// A line in which each asks under a name of its own, is served, and is never seen again.
TEST(UserShares, WhoHasHadTheirShareIsForgotten) {
  for (const Priority priority : {Priority::realtime, Priority::batch}) {
    Home home(1, Policy::affinity);
    const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4});
    home.world.registry[home.resident(chat)].costs.run = 10ms;
    home.warm(chat);
    std::size_t most = 0;
    for (std::uint32_t user = 1; user <= 3'000; ++user) {
      const TicketId ticket = home.asks(chat, TicketRequest{.priority = priority, .user = user}).first;
      home.happens(LeaseReleased{ticket}, 10ms);
      most = std::max(most, home.world.lines[0].shares.size());
    }
    EXPECT_LE(most, 3U);
  }
}

TEST(UserShares, WhoIsRefusedHasHadNothing) {
  Home home(1, Policy::affinity);
  const auto chat = home.consumer({.name = "chat", .footprint = kGiB * 4});
  home.warm(chat);
  home.world.limits.max_queue = 2;
  home.asks(chat);
  const auto ask = [&] { return home.asks(chat, TicketRequest{.user = 1}).first; };
  ask();
  const Instant second = home.world.tickets.at(ask()).due;
  for (int i = 0; i < 500; ++i) EXPECT_FALSE(home.world.tickets.contains(ask()));
  home.world.limits.max_queue = 3;
  EXPECT_LE(home.world.tickets.at(ask()).due, second + 2s);
}

}  // namespace
}  // namespace mgpu
