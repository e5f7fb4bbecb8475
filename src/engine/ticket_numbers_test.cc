#include "engine/ticket_numbers.h"

#include <vector>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

using store::Epoch;

TicketNumbers numbers_of(Epoch epoch) {
  return TicketNumbers([epoch] { return epoch; });
}

TEST(TicketNumbers, TheFirstStartCountsFromOne) {
  TicketNumbers numbers = numbers_of({.number = 0});
  EXPECT_EQ(numbers.next(), TicketId{1});
  EXPECT_EQ(numbers.next(), TicketId{2});
  EXPECT_FALSE(numbers.is_of_earlier_start(TicketId{1}));
}

TEST(TicketNumbers, ALaterStartCountsBehindItsEpoch) {
  TicketNumbers numbers = numbers_of({.number = 3});
  EXPECT_EQ(numbers.epoch(), 3u);
  EXPECT_EQ(numbers.next(), TicketId{3'000'000'001});
  EXPECT_TRUE(numbers.is_of_earlier_start(TicketId{17}));
  EXPECT_TRUE(numbers.is_of_earlier_start(TicketId{2'000'000'017}));
  EXPECT_FALSE(numbers.is_of_earlier_start(TicketId{3'000'000'017}));
}

TEST(TicketNumbers, AStartWithinTheSamePeriodOfTheClockSkipsWhatTheOneBeforeMayHaveUsed) {
  TicketNumbers numbers = numbers_of({.number = 47'520, .skipped_tickets = 2'000});
  EXPECT_EQ(numbers.next(), TicketId{47'520'000'002'001});
  EXPECT_TRUE(numbers.is_of_earlier_start(TicketId{47'520'000'002'000}));
}

TEST(TicketNumbers, AnEpochThatIsUsedUpIsFollowedByANewOneOfTheSameStart) {
  std::vector<Epoch> epochs{{.number = 7}, {.number = 4, .skipped_tickets = kTicketsPerEpoch - 2}};
  TicketNumbers numbers([&] {
    const Epoch next = epochs.back();
    epochs.pop_back();
    return next;
  });
  EXPECT_EQ(numbers.next(), TicketId{4'999'999'999});
  EXPECT_EQ(numbers.next(), TicketId{7'000'000'001});
  EXPECT_EQ(numbers.epoch(), 4u);
  EXPECT_FALSE(numbers.is_of_earlier_start(TicketId{4'999'999'999}));
}

TEST(TicketNumbers, NumbersByTheClockStayExactInJson) {
  using namespace std::chrono;
  const Epoch far = store::epoch_by_clock(sys_days(year(2126) / 1 / 1));
  EXPECT_LT((far.number + 1) * kTicketsPerEpoch, std::uint64_t{1} << 53);
}

TEST(TicketNumbers, TwoStartsByTheClockShareNoNumbers) {
  using namespace std::chrono;
  const sys_days day = year(2026) / 11 / 28;
  const auto first = [](system_clock::time_point at) {
    TicketNumbers numbers = numbers_of(store::epoch_by_clock(at));
    return numbers.next().value;
  };
  EXPECT_EQ(first(day + 9min + 59s + 999ms) + 1'000 + (kTicketsPerEpoch - 600'000'000), first(day + 10min));
  EXPECT_EQ(first(day + 1ms), first(day) + 1'000);
}

}  // namespace
}  // namespace mgpu::engine
