#include "explain/prospect.h"

#include <gtest/gtest.h>

#include "explain/sentences.h"
#include "explain/story.h"

namespace mgpu::explain {
namespace {

using namespace std::chrono_literals;

std::string told(const Story& story, const TicketRequest& ask) {
  std::string text;
  for (const std::string& sentence :
       sentences(prospect(story.world, ask), {story.world.registry, story.journal, {}}))
    text += sentence + "\n";
  return text;
}

TEST(Prospect, IsGrantedAtOnceWhereItsResidentIsWarmAndTheTurnFree) {
  Story story;
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB}, true);
  EXPECT_EQ(prospect(story.world, story.ask(chat)).stage, TicketStage::running);
  EXPECT_EQ(told(story, story.ask(chat)), "A ticket for chat would be granted at once.\n");
}

TEST(Prospect, LeavesTheWorldAsItIs) {
  Story story;
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB}, true);
  (void)prospect(story.world, story.ask(chat));
  EXPECT_TRUE(story.world.tickets.empty());
  EXPECT_EQ(story.world.lines[0].statistics.in_flight, 0u);
}

TEST(Prospect, SaysBehindWhomItWouldWait) {
  Story story;
  const ConsumerId chat = story.consumer({.name = "chat", .footprint = kGiB}, true);
  const ConsumerId tts = story.consumer({.name = "tts", .footprint = kGiB}, true);
  story.asks(chat);
  story.asks(chat);
  const Prospect next = prospect(story.world, story.ask(tts));
  EXPECT_EQ(next.stage, TicketStage::waiting);
  EXPECT_EQ(next.place, 2u);
  EXPECT_EQ(next.holders, std::vector{TicketId{1}});
  EXPECT_EQ(next.before, std::vector{TicketId{2}});
  EXPECT_EQ(told(story, story.ask(tts)),
            "A ticket for tts would wait, 2. in the line.\n"
            "The turn is with ticket 1 (chat).\n"
            "Before it: ticket 2 (chat).\n"
            "It could be expected to start in 2.0 s.\n");
}

TEST(Prospect, SaysWhoWouldHaveToLeaveAndThatItMustLoad) {
  Story story;
  story.consumer({.name = "chat", .footprint = kGiB * 16}, true);
  const ConsumerId image = story.consumer({.name = "image", .footprint = kGiB * 16}, false);
  const std::string text = told(story, story.ask(image));
  EXPECT_NE(text.find("A ticket for image would have its turn at once.\n"), std::string::npos) << text;
  EXPECT_NE(text.find("chat (16.0 GiB, "), std::string::npos) << text;
  EXPECT_NE(text.find("Image would have to be loaded.\n"), std::string::npos) << text;
}

TEST(Prospect, TakesAnOldReadingAsItIs) {
  Story story;
  const ConsumerId image = story.consumer({.name = "image", .footprint = kGiB}, false);
  story.passes(1h);
  const Prospect next = prospect(story.world, story.ask(image));
  EXPECT_EQ(next.stage, TicketStage::preparing);
  EXPECT_TRUE(std::holds_alternative<Load>(next.effects.back()));
}

TEST(Prospect, SaysWhyItWouldBeRefused) {
  Story story;
  const ConsumerId huge = story.consumer({.name = "huge", .footprint = kGiB * 80}, false);
  const Prospect next = prospect(story.world, story.ask(huge));
  ASSERT_TRUE(next.refused);
  EXPECT_EQ(next.refused->code, ErrorCode::never_fits);
  EXPECT_NE(told(story, story.ask(huge)).find("would be refused: never_fits, needs 80.0 GiB"),
            std::string::npos);
}

TEST(Prospect, OfASplitConsumerKnowsWhoComputesOnEachOfItsDevices) {
  Story story(Policy::affinity);
  story.world.limits.load_ahead = false;
  const DeviceId second = add_device(story.world, {.name = "gpu1"});
  story.happens(
      ReadingTaken{{.device = second, .taken_at = story.world.now + Duration{1}, .total = kGiB * 24}});
  const ConsumerId there = story.consumer({.name = "there", .device = second, .footprint = kGiB}, true);
  const TicketId computes =
      story.asks({.device = second, .consumer = there, .resident = story.resident(there)});
  const ConsumerId large = story.consumer({.name = "large",
                                           .device = story.gpu,
                                           .devices = {story.gpu, second},
                                           .split = {1, 1},
                                           .footprint = kGiB * 8},
                                          false);
  const Prospect next = prospect(story.world, story.ask(large));
  EXPECT_EQ(next.stage, TicketStage::waiting);
  EXPECT_EQ(next.holders, std::vector{computes});
}

}  // namespace
}  // namespace mgpu::explain
