#include "explain/what_if.h"

#include <gtest/gtest.h>

#include "explain/explanation_text.h"
#include "explain/journal_fixture.h"

namespace mgpu::explain {
namespace {

using namespace std::chrono_literals;

std::string what_if_text(const JournalFixture& fixture, const TicketRequest& ask) {
  std::string text;
  for (const std::string& sentence :
       format_sentences(what_if(fixture.world, ask), {fixture.world.registry, fixture.journal, {}}))
    text += sentence + "\n";
  return text;
}

TEST(Prospect, IsGrantedAtOnceWhereItsResidentIsWarmAndTheTurnFree) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  EXPECT_EQ(what_if(fixture.world, fixture.make_ask(chat)).stage, TicketStage::running);
  EXPECT_EQ(what_if_text(fixture, fixture.make_ask(chat)), "A ticket for chat would be granted at once.\n");
}

TEST(Prospect, LeavesTheWorldAsItIs) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  (void)what_if(fixture.world, fixture.make_ask(chat));
  EXPECT_TRUE(fixture.world.tickets.empty());
  EXPECT_EQ(fixture.world.lines[0].statistics.in_flight, 0u);
}

TEST(Prospect, SaysBehindWhomItWouldWait) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  const ConsumerId tts = fixture.make_consumer({.name = "tts", .footprint = kGiB}, true);
  fixture.submit(chat);
  fixture.submit(chat);
  const WhatIf next = what_if(fixture.world, fixture.make_ask(tts));
  EXPECT_EQ(next.stage, TicketStage::waiting);
  EXPECT_EQ(next.place, 2u);
  EXPECT_EQ(next.turn_holders, std::vector{TicketId{1}});
  EXPECT_EQ(next.tickets_ahead, std::vector{TicketId{2}});
  EXPECT_EQ(what_if_text(fixture, fixture.make_ask(tts)),
            "A ticket for tts would wait, 2. in the line.\n"
            "The turn is with ticket 1 (chat).\n"
            "Before it: ticket 2 (chat).\n"
            "It could be expected to start in 2.0 s.\n");
}

TEST(Prospect, SaysWhoWouldHaveToLeaveAndThatItMustLoad) {
  JournalFixture fixture;
  fixture.make_consumer({.name = "chat", .footprint = kGiB * 16}, true);
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB * 16}, false);
  const std::string text = what_if_text(fixture, fixture.make_ask(image));
  EXPECT_NE(text.find("A ticket for image would have its turn at once.\n"), std::string::npos) << text;
  EXPECT_NE(text.find("chat (16.0 GiB, "), std::string::npos) << text;
  EXPECT_NE(text.find("Image would have to be loaded.\n"), std::string::npos) << text;
}

TEST(Prospect, TakesAnOldReadingAsItIs) {
  JournalFixture fixture;
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB}, false);
  fixture.advance(1h);
  const WhatIf next = what_if(fixture.world, fixture.make_ask(image));
  EXPECT_EQ(next.stage, TicketStage::preparing);
  EXPECT_TRUE(std::holds_alternative<Load>(next.effects.back()));
}

TEST(Prospect, SaysWhyItWouldBeRefused) {
  JournalFixture fixture;
  const ConsumerId huge = fixture.make_consumer({.name = "huge", .footprint = kGiB * 80}, false);
  const WhatIf next = what_if(fixture.world, fixture.make_ask(huge));
  ASSERT_TRUE(next.refused);
  EXPECT_EQ(next.refused->code, ErrorCode::never_fits);
  EXPECT_NE(
      what_if_text(fixture, fixture.make_ask(huge)).find("would be refused: never_fits, needs 80.0 GiB"),
      std::string::npos);
}

TEST(Prospect, OfASplitConsumerKnowsWhoComputesOnEachOfItsDevices) {
  JournalFixture fixture(Policy::affinity);
  fixture.world.limits.load_ahead = false;
  const DeviceId second = add_device(fixture.world, {.name = "gpu1"});
  fixture.apply(
      ReadingTaken{{.device = second, .taken_at = fixture.world.now + Duration{1}, .total = kGiB * 24}});
  const ConsumerId there =
      fixture.make_consumer({.name = "there", .device = second, .footprint = kGiB}, true);
  const TicketId computes =
      fixture.submit({.device = second, .consumer = there, .resident = fixture.resident(there)});
  const ConsumerId large = fixture.make_consumer({.name = "large",
                                                  .device = fixture.gpu,
                                                  .devices = {fixture.gpu, second},
                                                  .split = {1, 1},
                                                  .footprint = kGiB * 8},
                                                 false);
  const WhatIf next = what_if(fixture.world, fixture.make_ask(large));
  EXPECT_EQ(next.stage, TicketStage::waiting);
  EXPECT_EQ(next.turn_holders, std::vector{computes});
}

}  // namespace
}  // namespace mgpu::explain
