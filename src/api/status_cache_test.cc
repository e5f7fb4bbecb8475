#include "api/status_cache.h"

#include <gtest/gtest.h>

#include "api/waiting_line.h"

namespace mgpu::api {
namespace {

// The clock stands still unless a test moves it.
class StatusCacheTest : public testing::Test {
 protected:
  void open_line(std::size_t tickets) {
    line_ = std::make_unique<WaitingLine>(tickets);
    const auto clock = [this] { return now_; };
    estimates_ = std::make_unique<StartEstimates>(
        line_->engine(),
        [this](const World& world) {
          ++play_throughs_;
          return play_lines_through(world);
        },
        clock);
    cache_ = std::make_unique<StatusCache>(line_->engine(), *estimates_, DaemonFacts{.version = "1"}, clock);
  }
  void advance(Duration time) { now_ = now_ + time; }
  Json shown_line() { return Json::parse(cache_->status())["line"]; }
  Json shown_ticket(TicketId ticket) {
    for (const Json& shown : shown_line())
      if (shown["ticket"] == ticket.value) return shown;
    return nullptr;
  }
  Duration max_age() const { return std::min(line_->engine().config()->gpu.sample_busy, kMaxStatusAge); }

  Instant now_{1'000'000'000};
  int play_throughs_ = 0;
  std::unique_ptr<WaitingLine> line_;
  std::unique_ptr<StartEstimates> estimates_;
  std::unique_ptr<StatusCache> cache_;
};

// The times waited in a text that is built anew would differ.
TEST_F(StatusCacheTest, WithoutAnEventEverybodyIsSentTheSameBytes) {
  open_line(3);
  const std::string status = cache_->status(), line = cache_->line(), consumers = cache_->consumers();
  advance(max_age() - Duration{1});
  line_->engine().journal().append(Instant{}, Tick{});  // routine
  EXPECT_EQ(cache_->status(), status);
  EXPECT_EQ(cache_->line(), line);
  EXPECT_EQ(cache_->consumers(), consumers);
}

TEST_F(StatusCacheTest, AnEventIsSeenInTheNextAnswer) {
  open_line(3);
  EXPECT_EQ(shown_line().size(), 3U);
  const TicketId added = line_->add_ticket();
  EXPECT_EQ(shown_ticket(added)["place"], 4);
  EXPECT_EQ(Json::parse(cache_->line())["line"].size(), 4U);
  ASSERT_TRUE(line_->engine().cancel(added, "no longer wanted"));
  EXPECT_EQ(shown_line().size(), 3U);
  EXPECT_EQ(Json::parse(cache_->consumers())["consumers"].size(), 5U);
}

TEST_F(StatusCacheTest, WhatChangesWithTimeAloneIsNoOlderThanTheSamplingInterval) {
  open_line(1);
  const std::string first = cache_->status();
  advance(max_age());
  EXPECT_NE(cache_->status(), first) << "the ticket has waited for longer";
}

TEST_F(StatusCacheTest, AThousandPollsAtALongLineCostOnePlayThrough) {
  open_line(1000);
  for (int poll = 0; poll < 1000; ++poll) EXPECT_FALSE(cache_->status().empty());
  EXPECT_EQ(play_throughs_, 1);
  advance(std::chrono::hours(1));
  cache_->status();
  EXPECT_EQ(play_throughs_, 1) << "nothing happened, so the result would be the same";
}

TEST_F(StatusCacheTest, EventsDoNotMakeALongLineBePlayedThroughMoreOften) {
  open_line(kLongLine + 1);
  EXPECT_FALSE(shown_ticket(line_->ticket(2))["estimated_start"].is_null());
  TicketId added{};
  for (int i = 0; i < 100; ++i) {
    added = line_->add_ticket();
    cache_->status();
  }
  EXPECT_EQ(play_throughs_, 1);
  EXPECT_EQ(shown_ticket(added)["place"], kLongLine + 101) << "the facts are new";
  EXPECT_TRUE(shown_ticket(added)["estimated_start"].is_null()) << "the estimates are not";
  EXPECT_FALSE(shown_ticket(line_->ticket(2))["estimated_start"].is_null());

  advance(kMaxEstimateAge);
  EXPECT_FALSE(shown_ticket(added)["estimated_start"].is_null());
  EXPECT_EQ(play_throughs_, 2);
}

TEST_F(StatusCacheTest, AShortLineIsPlayedThroughAgainForANewTicket) {
  open_line(2);
  EXPECT_TRUE(estimates_->start_of(line_->ticket(2)));
  const TicketId added = line_->add_ticket();
  EXPECT_TRUE(estimates_->start_of(added));
  EXPECT_EQ(play_throughs_, 2);
  line_->engine().journal().append(Instant{}, Tick{});
  EXPECT_TRUE(estimates_->start_of(added));
  EXPECT_EQ(play_throughs_, 2) << "routine entries do not count";
}

}  // namespace
}  // namespace mgpu::api
