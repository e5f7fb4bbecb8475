#include "engine/journal.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

Happening arrived(std::uint64_t ticket) { return TicketArrived{.ticket = TicketId{ticket}}; }

std::vector<std::uint64_t> ids_after(const Journal& journal, std::uint64_t id) {
  std::vector<std::uint64_t> ids;
  for (auto entry = journal.after(id); entry != journal.entries().end(); ++entry) ids.push_back(entry->id);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST(Journal, NumbersFromOneWithoutGaps) {
  Journal journal(10);
  EXPECT_EQ(journal.last_id(), 0U);
  for (std::uint64_t i = 1; i <= 3; ++i) journal.append(Instant{5}, arrived(i));
  EXPECT_EQ(ids_after(journal, 0), (Ids{1, 2, 3}));
  EXPECT_EQ(journal.entries().front().at, Instant{5});
}

TEST(Journal, ForgetsTheOldestAndGoesOnFromWhatIsKept) {
  Journal journal(2);
  for (std::uint64_t i = 1; i <= 5; ++i) journal.append(Instant{}, arrived(i));
  EXPECT_EQ(ids_after(journal, 0), (Ids{4, 5}));
  EXPECT_EQ(ids_after(journal, 4), (Ids{5}));
  EXPECT_EQ(ids_after(journal, 5), Ids{});
  EXPECT_EQ(ids_after(journal, 99), Ids{});
}

TEST(Journal, TellsItsListenersUntilTheyLeave) {
  Journal journal(10);
  Ids heard;
  const auto subscription = journal.subscribe([&](const Entry& entry) { heard.push_back(entry.id); });
  journal.append(Instant{}, arrived(1));
  journal.append(Instant{}, Effect{Grant{.ticket = TicketId{1}}});
  journal.unsubscribe(subscription);
  journal.append(Instant{}, arrived(2));
  EXPECT_EQ(heard, (Ids{1, 2}));
}

TEST(Journal, AListenerMayLeaveWhileItIsTold) {
  Journal journal(10);
  int heard = 0;
  std::uint64_t subscription = 0;
  subscription = journal.subscribe([&](const Entry&) { ++heard, journal.unsubscribe(subscription); });
  journal.append(Instant{}, arrived(1));
  journal.append(Instant{}, arrived(2));
  EXPECT_EQ(heard, 1);
}

}  // namespace
}  // namespace mgpu::engine
