#include "explain/explanation.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "explain/sentences.h"
#include "explain/story.h"

namespace mgpu::explain {
namespace {

using namespace std::chrono_literals;

std::optional<Explanation> explained(const Story& story, TicketId ticket) {
  const auto there = story.world.tickets.find(ticket);
  return explain(story.journal, story.world.registry, ticket,
                 there == story.world.tickets.end() ? nullptr : &there->second, story.world.now);
}

std::vector<std::string> told(const Story& story, TicketId ticket) {
  const auto explanation = explained(story, ticket);
  if (!explanation) return {"nothing is known"};
  return sentences(*explanation, {story.world.registry, story.journal,
                                  [](Instant at) { return std::to_string(at.us / 1'000'000) + " s"; }});
}

bool says(const std::vector<std::string>& sentences, const std::string& words) {
  return std::ranges::any_of(sentences,
                             [&](const std::string& one) { return one.find(words) != std::string::npos; });
}

// "cause seconds": "turn 3".
std::vector<std::string> causes(const Explanation& explanation) {
  std::vector<std::string> found;
  for (const Segment& segment : explanation.segments)
    found.push_back(std::string(to_string(segment.cause)) + " " +
                    std::to_string((segment.until - segment.from).count() / 1'000'000));
  return found;
}

using Words = std::vector<std::string>;

// chat computes for 3 s, leaves within 2 s, image loads in 7 s.
struct ChatThenImage : Story {
  ConsumerId chat = consumer({.name = "chat", .footprint = kGiB * 16}, true);
  ConsumerId image = consumer({.name = "image", .footprint = kGiB * 12}, false);
  TicketId first{}, second{};

  ChatThenImage() {
    first = asks(chat);
    second = asks(image);
    passes(3s);
    happens(LeaseReleased{first});
    passes(2s);
    happens(RungEnded{resident(chat), Rung::stop});
    read();
    passes(7s);
    happens(LoadEnded{resident(image)});
  }
};

TEST(Explanation, TellsWhatATicketWaitedForInEachMoment) {
  const ChatThenImage story;
  const auto explanation = explained(story, story.second);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(causes(*explanation), (Words{"turn 3", "eviction 2", "load 7"}));
  EXPECT_EQ(explanation->segments[0].behind, story.first);
  EXPECT_EQ(explanation->segments[1].resident, story.resident(story.chat));
  EXPECT_EQ(explanation->stand, Stand::running);
  EXPECT_EQ(explanation->waited, 12s);
}

TEST(Explanation, TellsWhoLeftForItAndAtWhatPrice) {
  const ChatThenImage story;
  const auto explanation = explained(story, story.second);
  ASSERT_TRUE(explanation);
  ASSERT_EQ(explanation->plans.size(), 1u);
  ASSERT_EQ(explanation->plans[0].considered.size(), 1u);
  EXPECT_TRUE(explanation->plans[0].considered[0].chosen);
  ASSERT_EQ(explanation->evictions.size(), 1u);
  EXPECT_EQ(explanation->evictions[0].freed, kGiB * 16);
  EXPECT_EQ(*explanation->evictions[0].until - explanation->evictions[0].from, 2s);
  ASSERT_EQ(explanation->loads.size(), 1u);
  EXPECT_EQ(*explanation->loads[0].until - explanation->loads[0].from, 7s);
}

TEST(Explanation, IsToldInSentences) {
  const ChatThenImage story;
  const Words text = told(story, story.second);
  EXPECT_EQ(text[0], "Ticket 2, for image, came at 1 s.");
  EXPECT_EQ(
      text[1],
      "It waited 12.0 s: 3.0 s behind ticket 1 (chat), which had the turn, then 2.0 s for chat to leave, "
      "then 7.0 s for image to load.");
  EXPECT_TRUE(says(text, "To make room (4.0 GiB were missing), chat (16.0 GiB, "))
      << testing::PrintToString(text);
  EXPECT_TRUE(says(text, "Chat left within 2.0 s (stop), which freed 16.0 GiB."));
  EXPECT_TRUE(says(text, "Image was loaded in 7.0 s."));
  EXPECT_EQ(text.back(), "It was granted at 13 s and runs.");
}

TEST(Explanation, OfOneThatWaitsStillGoesToNow) {
  Story story;
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB}, true);
  story.asks(chat);
  const TicketId second = story.asks(chat);
  story.passes(5s);
  const auto explanation = explained(story, second);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->stand, Stand::waiting);
  EXPECT_EQ(causes(*explanation), Words{"turn 5"});
  EXPECT_EQ(told(story, second).back(), "It waits still.");
}

TEST(Explanation, TellsWhoWentBeforeAndWhyTheyMight) {
  Story story(Policy::affinity);
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB * 16}, true);
  const ConsumerId image = story.consumer({.name = "image", .footprint = kGiB * 16}, false);
  const TicketId first = story.asks(chat);
  const TicketId patient = story.asks(image);
  const TicketId quick = story.asks(chat);
  story.passes(4s);
  story.happens(LeaseReleased{first});
  const auto explanation = explained(story, patient);
  ASSERT_TRUE(explanation);
  ASSERT_EQ(explanation->passed_by.size(), 1u);
  EXPECT_EQ(explanation->passed_by[0].other, quick);
  EXPECT_EQ(explanation->passed_by[0].why, OvertakeReason::same_turn);
  EXPECT_TRUE(
      says(told(story, patient), "Ticket 3 (chat) went before it at 5 s: its consumer had the turn."));
  EXPECT_TRUE(says(told(story, quick), "It went before one ticket, ticket 2 (image) the first"));
}

TEST(Explanation, WhatTheJournalForgotIsSaid) {
  ChatThenImage story;
  story.forget(6);
  const auto explanation = explained(story, story.second);
  ASSERT_TRUE(explanation);
  EXPECT_TRUE(explanation->beginning_gone);
  EXPECT_EQ(explanation->waited, 12s);  // its grant tells
  EXPECT_TRUE(says(told(story, story.second), "the beginning of its story is gone"));
  story.forget(0);
  story.happens(LeaseReleased{story.second});
  story.forget(0);
  EXPECT_FALSE(explained(story, story.second));
}

TEST(Explanation, TellsWhyALoadFailed) {
  Story story;
  const ConsumerId image = story.consumer({.name = "image", .footprint = kGiB}, false);
  const TicketId ticket = story.asks(image);
  story.passes(2s);
  story.happens(LoadEnded{story.resident(image), fail(ErrorCode::load_failed, "no such file")});
  const auto explanation = explained(story, ticket);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->stand, Stand::refused);
  EXPECT_EQ(causes(*explanation), Words{"load 2"});
  EXPECT_TRUE(says(told(story, ticket), "Image failed to load after 2.0 s: no such file."));
  EXPECT_TRUE(says(told(story, ticket), "It was refused: load_failed, no such file."));
}

TEST(Explanation, ALineOfManyIsToldByItsLastPart) {
  Story story;
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB}, true);
  for (int i = 0; i < 30; ++i) story.asks(chat);
  const TicketId last = story.asks(chat);
  for (std::uint64_t i = 1; i <= 30; ++i) {
    story.passes(1s);
    story.happens(LeaseReleased{{i}});
  }
  const auto explanation = explained(story, last);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->segments.size(), 30u);
  EXPECT_TRUE(
      says(told(story, last), "It waited 30.0 s: 18.0 s for 18 other things before, then 1.0 s behind"));
}

// Many consumers that do not fit together, and a service that does as it is told: whatever was waited for
// adds up to the wait, without gaps.
struct Household : Story {
  explicit Household(Policy policy) : Story(policy) {
    std::vector<ConsumerId> consumers;
    for (const char* name : {"a", "b", "c", "d"})
      consumers.push_back(consumer({.name = name, .footprint = kGiB * 10}, false));
    for (std::size_t i = 0; i < 60; ++i) {
      if (i < 30) asks(consumers[i * i % 7 % 4]);
      passes(700ms);
      answer();
    }
  }

  // The first thing that is under way ends.
  void answer() {
    read();
    LineState& line = world.lines[0];
    if (line.loading) {
      happens(LoadEnded{*line.loading});
    } else if (!world.evictions.empty()) {
      happens(RungEnded{world.evictions.begin()->first, Rung::stop});
      read();
    } else {
      for (std::uint64_t i = 1; i <= last_ticket; ++i)
        if (const auto ticket = world.tickets.find({i});
            ticket != world.tickets.end() && ticket->second.stage == TicketStage::running) {
          happens(LeaseReleased{{i}});
          break;
        }
    }
  }
};

TEST(Explanation, WhatWasWaitedForAddsUpWithoutGaps) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    const Household house(policy);
    for (std::uint64_t i = 1; i <= house.last_ticket; ++i) {
      const auto explanation = explained(house, {i});
      ASSERT_TRUE(explanation);
      Instant at = *explanation->arrived;
      for (const Segment& segment : explanation->segments) {
        EXPECT_EQ(segment.from, at);
        EXPECT_LT(segment.from, segment.until);
        EXPECT_NE(segment.cause, Cause::memory) << "ticket " << i;
        at = segment.until;
      }
      EXPECT_EQ(at - *explanation->arrived, explanation->waited);
    }
  }
}

TEST(Explanation, EqualJournalsGiveEqualExplanations) {
  const Household house(Policy::affinity), twin(Policy::affinity);
  for (std::uint64_t i = 1; i <= house.last_ticket; ++i) EXPECT_EQ(told(house, {i}), told(twin, {i}));
}

TEST(Explanation, OneThatCameEarlierMayHavePassedItToo) {
  Story story(Policy::affinity);
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB * 14}, true);
  const ConsumerId image = story.consumer({.name = "image", .footprint = kGiB * 14}, false);
  const TicketId runs = story.asks(chat);
  TicketRequest batch = story.ask(chat);
  batch.priority = Priority::batch;
  const TicketId earlier = story.asks(batch);
  const TicketId waits = story.asks(image);  // due before the batch, and cold
  story.passes(1s);
  story.happens(LeaseReleased{runs});
  const auto explanation = explained(story, waits);
  ASSERT_TRUE(explanation);
  ASSERT_EQ(explanation->passed_by.size(), 1U);
  EXPECT_EQ(explanation->passed_by[0].other, earlier);
}

// One that needs both devices, while somebody computes on the second.
struct WaitsForTheOtherDevice : Story {
  DeviceId second = add_device(world, {.name = "gpu1"});
  ConsumerId there{}, large{};
  TicketId computes{};

  WaitsForTheOtherDevice() {
    world.limits.policy = Policy::affinity;
    world.limits.load_ahead = false;
    happens(ReadingTaken{{.device = second, .taken_at = world.now + Duration{1}, .total = kGiB * 24}});
    there = consumer({.name = "there", .device = second, .footprint = kGiB * 10}, true);
    large = consumer(
        {.name = "large", .device = gpu, .devices = {gpu, second}, .split = {1, 1}, .footprint = kGiB * 8},
        false);
    computes = asks({.device = second, .consumer = there, .resident = resident(there)});
  }
};

TEST(Explain, ASplitConsumerWaitsBehindWhoeverHasTheTurnOnAnyOfItsDevices) {
  WaitsForTheOtherDevice story;
  const TicketId waits = story.asks(story.large);
  story.passes(3s);
  const auto explanation = explained(story, waits);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(causes(*explanation), Words{"turn 3"});
  EXPECT_EQ(explanation->segments[0].behind, story.computes);
}

}  // namespace
}  // namespace mgpu::explain
