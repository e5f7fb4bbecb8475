// Whose next ticket stands where, and that the line remembers nobody for longer than it matters.
#include "sched/user_shares.h"

#include "sched/core_harness.h"

namespace mgpu {
namespace {

const UserShareKey kAda{.user = 1, .priority = Priority::normal};

TEST(UserShares, TheNextTicketStandsBehindTheShareOfTheFormer) {
  UserShares shares;
  EXPECT_EQ(shares.fair_due(kAda, {1'000}), Instant{1'000});
  shares.charge(kAda, {6'000}, {5'000}, {1'000});
  EXPECT_EQ(shares.fair_due(kAda, {1'001}), Instant{6'000});
  EXPECT_EQ(shares.fair_due({.user = 1, .priority = Priority::batch}, {1'001}), Instant{1'001});
  EXPECT_EQ(shares.fair_due({.user = 2, .priority = Priority::normal}, {1'001}), Instant{1'001});
}

TEST(UserShares, ThereIsAMostOfThem) {
  UserShares shares;
  for (std::uint32_t i = 1; i <= 2 * kMaxUserShares; ++i)
    shares.charge({.user = i, .priority = Priority::normal}, {10'000'000 + i}, {5'000'000 + i}, {1'000});
  EXPECT_EQ(shares.size(), kMaxUserShares);
  const UserShareKey last{.user = 2 * kMaxUserShares, .priority = Priority::normal};
  EXPECT_GT(shares.fair_due(last, {2'000}), Instant{2'000});
}

// A line in which each asks under a name of its own, is served, and is never seen again.
TEST(UserShares, WhoHasHadTheirShareIsForgotten) {
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

TEST(UserShares, WhoIsRefusedHasHadNothing) {
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
