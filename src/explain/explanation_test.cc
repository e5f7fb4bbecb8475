#include "explain/explanation.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "explain/explanation_text.h"
#include "explain/journal_fixture.h"

namespace mgpu::explain {
namespace {

using namespace std::chrono_literals;

std::optional<Explanation> explain_ticket(const JournalFixture& fixture, TicketId ticket) {
  const auto found = fixture.world.tickets.find(ticket);
  return explain(fixture.journal, fixture.world.registry, ticket,
                 found == fixture.world.tickets.end() ? nullptr : &found->second, fixture.world.now);
}

std::vector<std::string> sentences_for(const JournalFixture& fixture, TicketId ticket) {
  const auto explanation = explain_ticket(fixture, ticket);
  if (!explanation) return {"no explanation"};
  return format_sentences(*explanation, {fixture.world.registry, fixture.journal, [](Instant at) {
                                           return std::to_string(at.us / 1'000'000) + " s";
                                         }});
}

bool mentions(const std::vector<std::string>& sentences, const std::string& text) {
  return std::ranges::any_of(sentences, [&](const std::string& sentence) { return sentence.contains(text); });
}

// "cause seconds": "turn 3".
std::vector<std::string> causes(const Explanation& explanation) {
  std::vector<std::string> found;
  for (const WaitSegment& segment : explanation.segments)
    found.push_back(std::string(to_string(segment.cause)) + " " +
                    std::to_string((segment.until - segment.from).count() / 1'000'000));
  return found;
}

using Lines = std::vector<std::string>;

// A lease of chat runs for 3 s, chat is evicted in 2 s, image loads in 7 s.
struct ChatThenImage : JournalFixture {
  ConsumerId chat = make_consumer({.name = "chat", .footprint = kGiB * 16}, true);
  ConsumerId image = make_consumer({.name = "image", .footprint = kGiB * 12}, false);
  TicketId first{}, second{};

  ChatThenImage() {
    first = submit(chat);
    second = submit(image);
    advance(3s);
    apply(LeaseReleased{first});
    advance(2s);
    apply(RungEnded{resident(chat), Rung::stop});
    take_reading();
    advance(7s);
    apply(LoadEnded{resident(image)});
  }
};

TEST(Explanation, NamesTheCauseOfTheWaitAtEachTime) {
  const ChatThenImage fixture;
  const auto explanation = explain_ticket(fixture, fixture.second);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(causes(*explanation), (Lines{"turn 3", "eviction 2", "load 7"}));
  EXPECT_EQ(explanation->segments[0].behind, fixture.first);
  EXPECT_EQ(explanation->segments[1].resident, fixture.resident(fixture.chat));
  EXPECT_EQ(explanation->state, TicketState::running);
  EXPECT_EQ(explanation->waited, 12s);
}

TEST(Explanation, NamesTheEvictionsForItAndTheirCosts) {
  const ChatThenImage fixture;
  const auto explanation = explain_ticket(fixture, fixture.second);
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

TEST(Explanation, IsFormattedAsSentences) {
  const ChatThenImage fixture;
  const Lines text = sentences_for(fixture, fixture.second);
  EXPECT_EQ(text[0], "Ticket 2 for image arrived at 1 s.");
  EXPECT_EQ(
      text[1],
      "It waited 12.0 s: 3.0 s behind ticket 1 (chat), which had the turn, then 2.0 s for the eviction of "
      "chat, then 7.0 s for the load of image.");
  EXPECT_TRUE(mentions(text, "To free 4.0 GiB, the plan evicts chat (16.0 GiB, "))
      << testing::PrintToString(text);
  EXPECT_TRUE(mentions(text, "Chat was evicted in 2.0 s (stop), which freed 16.0 GiB."));
  EXPECT_TRUE(mentions(text, "Image was loaded in 7.0 s."));
  EXPECT_EQ(text.back(), "It was granted at 13 s and is running.");
}

TEST(Explanation, OfAWaitingTicketCoversTheTimeUntilNow) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  fixture.submit(chat);
  const TicketId second = fixture.submit(chat);
  fixture.advance(5s);
  const auto explanation = explain_ticket(fixture, second);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->state, TicketState::waiting);
  EXPECT_EQ(causes(*explanation), Lines{"turn 5"});
  EXPECT_EQ(sentences_for(fixture, second).back(), "It is still waiting.");
}

TEST(Explanation, NamesOvertakingTicketsAndTheReason) {
  JournalFixture fixture(Policy::affinity);
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB * 16}, true);
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB * 16}, false);
  const TicketId first = fixture.submit(chat);
  const TicketId patient = fixture.submit(image);
  const TicketId quick = fixture.submit(chat);
  fixture.advance(4s);
  fixture.apply(LeaseReleased{first});
  const auto explanation = explain_ticket(fixture, patient);
  ASSERT_TRUE(explanation);
  ASSERT_EQ(explanation->passed_by.size(), 1u);
  EXPECT_EQ(explanation->passed_by[0].other, quick);
  EXPECT_EQ(explanation->passed_by[0].reason, OvertakeReason::same_turn);
  EXPECT_TRUE(mentions(sentences_for(fixture, patient),
                       "Ticket 3 (chat) overtook it at 5 s: its consumer had the turn."));
  EXPECT_TRUE(mentions(sentences_for(fixture, quick), "It overtook ticket 2 (image) at 5 s: "));
}

TEST(Explanation, SaysIfTheJournalDoesNotReachBack) {
  ChatThenImage fixture;
  fixture.trim_journal(6);
  const auto explanation = explain_ticket(fixture, fixture.second);
  ASSERT_TRUE(explanation);
  EXPECT_TRUE(explanation->truncated);
  EXPECT_EQ(explanation->waited, 12s);  // from its grant
  EXPECT_TRUE(mentions(sentences_for(fixture, fixture.second), "The beginning is missing"));
  fixture.trim_journal(0);
  fixture.apply(LeaseReleased{fixture.second});
  fixture.trim_journal(0);
  EXPECT_FALSE(explain_ticket(fixture, fixture.second));
}

TEST(Explanation, NamesTheErrorOfAFailedLoad) {
  JournalFixture fixture;
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB}, false);
  const TicketId ticket = fixture.submit(image);
  fixture.advance(2s);
  fixture.apply(LoadEnded{fixture.resident(image), fail(ErrorCode::load_failed, "no such file")});
  const auto explanation = explain_ticket(fixture, ticket);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->state, TicketState::refused);
  EXPECT_EQ(causes(*explanation), Lines{"load 2"});
  EXPECT_TRUE(mentions(sentences_for(fixture, ticket), "Image failed to load after 2.0 s: no such file."));
  EXPECT_TRUE(mentions(sentences_for(fixture, ticket), "It was refused: load_failed, no such file."));
}

TEST(Explanation, ALoadThatTheServiceBeganByItselfIsALoad) {
  JournalFixture fixture;
  const auto chat = fixture.make_consumer({.name = "chat", .footprint = kGiB * 16}, false);
  fixture.apply(ResidentFound{fixture.resident(chat), Presence::loading});
  const TicketId ticket = fixture.submit(chat);
  fixture.advance(4s);
  fixture.apply(ResidentFound{fixture.resident(chat), Presence::warm});
  const auto explanation = explain_ticket(fixture, ticket);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->state, TicketState::running);
  EXPECT_EQ(causes(*explanation), (Lines{"load 4"}));
}

TEST(Explanation, OfALongWaitListsTheLastCauses) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  for (int i = 0; i < 30; ++i) fixture.submit(chat);
  const TicketId last = fixture.submit(chat);
  for (std::uint64_t i = 1; i <= 30; ++i) {
    fixture.advance(1s);
    fixture.apply(LeaseReleased{{i}});
  }
  const auto explanation = explain_ticket(fixture, last);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(explanation->segments.size(), 30u);
  EXPECT_TRUE(mentions(sentences_for(fixture, last),
                       "It waited 30.0 s: 18.0 s for 18 earlier causes, then 1.0 s behind"));
}

// Consumers that do not fit together, with services that always succeed.
struct OversubscribedDevice : JournalFixture {
  explicit OversubscribedDevice(Policy policy) : JournalFixture(policy) {
    std::vector<ConsumerId> consumers;
    for (const char* name : {"a", "b", "c", "d"})
      consumers.push_back(make_consumer({.name = name, .footprint = kGiB * 10}, false));
    for (std::size_t i = 0; i < 60; ++i) {
      if (i < 30) submit(consumers[i * i % 7 % 4]);
      advance(700ms);
      finish_next();
    }
  }

  // Ends the load, the first eviction or the first lease that is in progress.
  void finish_next() {
    take_reading();
    LineState& line = world.lines[0];
    if (line.loading) {
      apply(LoadEnded{*line.loading});
    } else if (!world.evictions.empty()) {
      apply(RungEnded{world.evictions.begin()->first, Rung::stop});
      take_reading();
    } else {
      for (std::uint64_t i = 1; i <= last_ticket; ++i)
        if (const auto ticket = world.tickets.find({i});
            ticket != world.tickets.end() && ticket->second.stage == TicketStage::running) {
          apply(LeaseReleased{{i}});
          break;
        }
    }
  }
};

TEST(Explanation, SegmentsAddUpToTheWaitWithoutGaps) {
  for (const Policy policy : {Policy::fifo, Policy::affinity}) {
    const OversubscribedDevice fixture(policy);
    for (std::uint64_t i = 1; i <= fixture.last_ticket; ++i) {
      const auto explanation = explain_ticket(fixture, {i});
      ASSERT_TRUE(explanation);
      Instant at = *explanation->arrived;
      for (const WaitSegment& segment : explanation->segments) {
        EXPECT_EQ(segment.from, at);
        EXPECT_LT(segment.from, segment.until);
        EXPECT_NE(segment.cause, WaitCause::memory) << "ticket " << i;
        at = segment.until;
      }
      EXPECT_EQ(at - *explanation->arrived, explanation->waited);
    }
  }
}

TEST(Explanation, EqualJournalsGiveEqualExplanations) {
  const OversubscribedDevice fixture(Policy::affinity), twin(Policy::affinity);
  for (std::uint64_t i = 1; i <= fixture.last_ticket; ++i)
    EXPECT_EQ(sentences_for(fixture, {i}), sentences_for(twin, {i}));
}

TEST(Explanation, ATicketThatArrivedEarlierMayOvertakeItToo) {
  JournalFixture fixture(Policy::affinity);
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB * 14}, true);
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB * 14}, false);
  const TicketId running = fixture.submit(chat);
  TicketRequest batch = fixture.make_request(chat);
  batch.priority = Priority::batch;
  const TicketId earlier = fixture.submit(batch);
  const TicketId waiting = fixture.submit(image);  // due before the batch ticket, and cold
  fixture.advance(1s);
  fixture.apply(LeaseReleased{running});
  const auto explanation = explain_ticket(fixture, waiting);
  ASSERT_TRUE(explanation);
  ASSERT_EQ(explanation->passed_by.size(), 1U);
  EXPECT_EQ(explanation->passed_by[0].other, earlier);
}

// A split consumer needs both devices while a lease runs on the second.
struct SecondDeviceBusy : JournalFixture {
  DeviceId second = add_device(world, {.name = "gpu1"});
  ConsumerId on_second{}, large{};
  TicketId running{};

  SecondDeviceBusy() {
    world.limits.policy = Policy::affinity;
    world.limits.load_ahead = false;
    apply(ReadingTaken{{.device = second, .taken_at = world.now + Duration{1}, .total = kGiB * 24}});
    on_second = make_consumer({.name = "other", .device = second, .footprint = kGiB * 10}, true);
    large = make_consumer(
        {.name = "large", .device = gpu, .devices = {gpu, second}, .split = {1, 1}, .footprint = kGiB * 8},
        false);
    running = submit({.device = second, .consumer = on_second, .resident = resident(on_second)});
  }
};

TEST(Explanation, ASplitConsumerWaitsBehindTheTurnsOnAllItsDevices) {
  SecondDeviceBusy fixture;
  const TicketId waiting = fixture.submit(fixture.large);
  fixture.advance(3s);
  const auto explanation = explain_ticket(fixture, waiting);
  ASSERT_TRUE(explanation);
  EXPECT_EQ(causes(*explanation), Lines{"turn 3"});
  EXPECT_EQ(explanation->segments[0].behind, fixture.running);
}

}  // namespace
}  // namespace mgpu::explain
