// Tests of fair shares: when a user's next ticket is due, and that expired shares are erased.
#include "sched/user_shares.h"

#include "sched/core_harness.h"

namespace mgpu {
namespace {

const UserShareKey kFirstUser{.user = 1, .priority = Priority::normal};

TEST(UserShares, TheNextTicketIsDueAfterTheShareOfTheFormer) {
  UserShares shares;
  EXPECT_EQ(shares.fair_due(kFirstUser, {1'000}), Instant{1'000});
  shares.charge(kFirstUser, {6'000}, {5'000}, {1'000});
  EXPECT_EQ(shares.fair_due(kFirstUser, {1'001}), Instant{6'000});
  EXPECT_EQ(shares.fair_due({.user = 1, .priority = Priority::batch}, {1'001}), Instant{1'001});
  EXPECT_EQ(shares.fair_due({.user = 2, .priority = Priority::normal}, {1'001}), Instant{1'001});
}

TEST(UserShares, TheirNumberIsLimited) {
  UserShares shares;
  for (std::uint32_t i = 1; i <= 2 * kMaxUserShares; ++i)
    shares.charge({.user = i, .priority = Priority::normal}, {10'000'000 + i}, {5'000'000 + i}, {1'000});
  EXPECT_EQ(shares.size(), kMaxUserShares);
  const UserShareKey last{.user = 2 * kMaxUserShares, .priority = Priority::normal};
  EXPECT_GT(shares.fair_due(last, {2'000}), Instant{2'000});
}

// Each ticket has a new user, is served, and its user does not come again.
TEST(UserShares, ExpiredSharesAreErased) {
  for (const Priority priority : {Priority::realtime, Priority::batch}) {
    CoreHarness harness(1, Policy::affinity);
    const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
    harness.world.registry[harness.resident_of(chat)].costs.run = 10ms;
    harness.make_warm(chat);
    std::size_t most = 0;
    for (std::uint32_t user = 1; user <= 3'000; ++user) {
      const TicketId ticket =
          harness.submit_ticket(chat, TicketRequest{.priority = priority, .user = user}).first;
      harness.apply_event(LeaseReleased{ticket}, 10ms);
      most = std::max(most, harness.world.lines[0].shares.size());
    }
    EXPECT_LE(most, 3U);
  }
}

TEST(UserShares, ARefusedTicketIsNotCharged) {
  CoreHarness harness(1, Policy::affinity);
  const auto chat = harness.create_consumer({.name = "chat", .footprint = kGiB * 4});
  harness.make_warm(chat);
  harness.world.limits.max_queue = 2;
  harness.submit_ticket(chat);
  const auto submit = [&] { return harness.submit_ticket(chat, TicketRequest{.user = 1}).first; };
  submit();
  const Instant second = harness.world.tickets.at(submit()).due;
  for (int i = 0; i < 500; ++i) EXPECT_FALSE(harness.world.tickets.contains(submit()));
  harness.world.limits.max_queue = 3;
  EXPECT_LE(harness.world.tickets.at(submit()).due, second + 2s);
}

}  // namespace
}  // namespace mgpu
