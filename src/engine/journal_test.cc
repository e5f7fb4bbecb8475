#include "engine/journal.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

EventPayload ticket_arrived(std::uint64_t ticket) { return TicketArrived{.ticket = TicketId{ticket}}; }

std::vector<std::uint64_t> ids_after(const Journal& journal, std::uint64_t id) {
  std::vector<std::uint64_t> ids;
  for (auto entry = journal.first_after(id); entry != journal.entries().end(); ++entry)
    ids.push_back(entry->id);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST(Journal, NumbersFromOneWithoutGaps) {
  Journal journal(10);
  EXPECT_EQ(journal.last_id(), 0U);
  for (std::uint64_t i = 1; i <= 3; ++i) journal.append(Instant{5}, ticket_arrived(i));
  EXPECT_EQ(ids_after(journal, 0), (Ids{1, 2, 3}));
  EXPECT_EQ(journal.entries().front().at, Instant{5});
}

TEST(Journal, ForgetsTheOldestAndGoesOnFromWhatIsKept) {
  Journal journal(2);
  for (std::uint64_t i = 1; i <= 5; ++i) journal.append(Instant{}, ticket_arrived(i));
  EXPECT_EQ(ids_after(journal, 0), (Ids{4, 5}));
  EXPECT_EQ(ids_after(journal, 4), (Ids{5}));
  EXPECT_EQ(ids_after(journal, 5), Ids{});
  EXPECT_EQ(ids_after(journal, 99), Ids{});
}

TEST(Journal, IsBoundedInBytesToo) {
  constexpr std::size_t kDetail = 10'000;
  const auto ticket_refused = [](std::uint64_t ticket) {
    return Effect{
        Refuse{.ticket = TicketId{ticket}, .error = {ErrorCode::never_fits, std::string(kDetail, 'x')}}};
  };
  Journal journal(1000, Bytes{10 * kDetail});
  for (std::uint64_t i = 1; i <= 100; ++i) journal.append(Instant{}, ticket_refused(i));
  EXPECT_LT(journal.entries().size(), 11U);
  EXPECT_GT(journal.entries().size(), 5U);
  EXPECT_EQ(journal.entries().back().id, 100U);
  // Small ones have room for as many as may be kept, once the large ones are gone.
  for (std::uint64_t i = 0; i < 50; ++i) journal.append(Instant{}, ticket_arrived(i));
  EXPECT_GE(journal.entries().size(), 50U);
  Journal tiny(1000, Bytes{1});
  tiny.append(Instant{}, ticket_refused(1));
  EXPECT_EQ(tiny.entries().size(), 1U) << "the last one is always there";
}

TEST(Journal, TellsItsListenersUntilTheyLeave) {
  Journal journal(10);
  Ids received;
  const auto subscription =
      journal.subscribe([&](const JournalEntry& entry) { received.push_back(entry.id); });
  journal.append(Instant{}, ticket_arrived(1));
  journal.append(Instant{}, Effect{Grant{.ticket = TicketId{1}}});
  journal.unsubscribe(subscription);
  journal.append(Instant{}, ticket_arrived(2));
  EXPECT_EQ(received, (Ids{1, 2}));
}

TEST(Journal, AListenerMayLeaveWhileItIsTold) {
  Journal journal(10);
  int received = 0;
  std::uint64_t subscription = 0;
  subscription =
      journal.subscribe([&](const JournalEntry&) { ++received, journal.unsubscribe(subscription); });
  journal.append(Instant{}, ticket_arrived(1));
  journal.append(Instant{}, ticket_arrived(2));
  EXPECT_EQ(received, 1);
}

}  // namespace
}  // namespace mgpu::engine
