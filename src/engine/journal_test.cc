#include "engine/journal.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

EventPayload ticket_arrived(std::uint64_t ticket) { return TicketArrived{.ticket = TicketId{ticket}}; }

std::vector<std::uint64_t> ids_after(const Journal& journal, std::uint64_t id) {
  std::vector<std::uint64_t> ids;
  for (auto entry = journal.first_after(id); entry != journal.entries().end(); ++entry)
    ids.push_back((*entry)->id);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST(Journal, NumbersFromOneWithoutGaps) {
  Journal journal(10);
  EXPECT_EQ(journal.last_id(), 0U);
  for (std::uint64_t i = 1; i <= 3; ++i) journal.append(Instant{5}, ticket_arrived(i));
  EXPECT_EQ(ids_after(journal, 0), (Ids{1, 2, 3}));
  EXPECT_EQ(journal.entries().front()->at, Instant{5});
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
  EXPECT_EQ(journal.entries().back()->id, 100U);
  // Once the large entries are dropped, small ones are limited by their number only.
  for (std::uint64_t i = 0; i < 50; ++i) journal.append(Instant{}, ticket_arrived(i));
  EXPECT_GE(journal.entries().size(), 50U);
  Journal tiny(1000, Bytes{1});
  tiny.append(Instant{}, ticket_refused(1));
  EXPECT_EQ(tiny.entries().size(), 1U) << "the last one is always there";
}

TEST(Journal, CountsExactlyWhatItKeeps) {
  Journal one(1), many(100);
  one.append(Instant{}, ticket_arrived(1));
  const Bytes flat = one.used_bytes();
  std::string detail(1000, 'x');
  detail.reserve(5000);
  one.append(Instant{}, Effect{Refuse{.error = {ErrorCode::never_fits, std::move(detail)}}});
  EXPECT_EQ(one.used_bytes(), flat + Bytes{5001}) << "the capacity counts, not the length";
  one.append(Instant{}, Effect{Refuse{.error = {ErrorCode::never_fits, "short"}}});
  EXPECT_EQ(one.used_bytes(), flat) << "a short text is inside of the entry";
  std::vector<TicketId> overtaken(10);
  one.append(Instant{}, Effect{Overtook{.overtaken = std::move(overtaken)}});
  EXPECT_EQ(one.used_bytes(), flat + Bytes{10 * sizeof(TicketId)});
  for (std::uint64_t i = 0; i < 250; ++i) many.append(Instant{}, ticket_arrived(i));
  EXPECT_EQ(many.used_bytes(), flat * 100);
}

TEST(Journal, AnEntryIsSharedAndOutlivesTheRing) {
  Journal journal(1);
  JournalEntryPtr received;
  journal.subscribe([&](const JournalEntryPtr& entry) {
    if (!received) received = entry;
  });
  const std::string detail(1000, 'x');
  const char* text = nullptr;
  {
    Refuse refusal{.ticket = TicketId{1}, .error = {ErrorCode::never_fits, detail}};
    text = refusal.error.detail.data();
    const JournalEntryPtr appended = journal.append(Instant{}, Effect{std::move(refusal)});
    EXPECT_EQ(appended, journal.entries().front());
    EXPECT_EQ(appended, received);
  }
  journal.append(Instant{}, ticket_arrived(2));
  ASSERT_EQ(journal.entries().front()->id, 2U);
  const auto& kept = std::get<Refuse>(std::get<Effect>(received->payload));
  EXPECT_EQ(kept.error.detail.data(), text) << "moved, never copied";
  EXPECT_EQ(kept.error.detail, detail);
}

TEST(Journal, KnowsTheLastEntryThatIsNotRoutine) {
  Journal journal(10);
  EXPECT_EQ(journal.last_significant_id(), 0U);
  journal.append(Instant{}, ticket_arrived(1));
  journal.append(Instant{}, Tick{});
  journal.append(Instant{}, ReadingTaken{});
  journal.append(Instant{}, Effect{TakeReading{}});
  EXPECT_EQ(journal.last_significant_id(), 1U);
  EXPECT_EQ(journal.last_id(), 4U);
}

TEST(Journal, CallsAListenerUntilItUnsubscribes) {
  Journal journal(10);
  Ids received;
  const auto subscription =
      journal.subscribe([&](const JournalEntryPtr& entry) { received.push_back(entry->id); });
  journal.append(Instant{}, ticket_arrived(1));
  journal.append(Instant{}, Effect{Grant{.ticket = TicketId{1}}});
  journal.unsubscribe(subscription);
  journal.append(Instant{}, ticket_arrived(2));
  EXPECT_EQ(received, (Ids{1, 2}));
}

TEST(Journal, AListenerMayUnsubscribeDuringItsCall) {
  Journal journal(10);
  int received = 0;
  std::uint64_t subscription = 0;
  subscription =
      journal.subscribe([&](const JournalEntryPtr&) { ++received, journal.unsubscribe(subscription); });
  journal.append(Instant{}, ticket_arrived(1));
  journal.append(Instant{}, ticket_arrived(2));
  EXPECT_EQ(received, 1);
}

}  // namespace
}  // namespace mgpu::engine
