#include "explain/what_if.h"

#include <gtest/gtest.h>

#include "explain/explanation_text.h"
#include "explain/journal_fixture.h"

namespace mgpu::explain {
namespace {

using namespace std::chrono_literals;

std::string what_if_text(const JournalFixture& fixture, const TicketRequest& request) {
  std::string text;
  for (const std::string& sentence :
       format_sentences(what_if(fixture.world, request), {fixture.world.registry, fixture.journal, {}}))
    text += sentence + "\n";
  return text;
}

TEST(WhatIf, ATicketIsGrantedAtOnceIfItsResidentIsWarmAndTheTurnFree) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  EXPECT_EQ(what_if(fixture.world, fixture.make_request(chat)).stage, TicketStage::running);
  EXPECT_EQ(what_if_text(fixture, fixture.make_request(chat)),
            "A ticket for chat would be granted at once.\n");
}

TEST(WhatIf, DoesNotChangeTheWorld) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  (void)what_if(fixture.world, fixture.make_request(chat));
  EXPECT_TRUE(fixture.world.tickets.empty());
  EXPECT_EQ(fixture.world.lines[0].statistics.in_flight, 0u);
}

TEST(WhatIf, NamesTheTicketsAhead) {
  JournalFixture fixture;
  const ConsumerId chat = fixture.make_consumer({.name = "chat", .footprint = kGiB}, true);
  const ConsumerId tts = fixture.make_consumer({.name = "tts", .footprint = kGiB}, true);
  fixture.submit(chat);
  fixture.submit(chat);
  const WhatIf next = what_if(fixture.world, fixture.make_request(tts));
  EXPECT_EQ(next.stage, TicketStage::waiting);
  EXPECT_EQ(next.place, 2u);
  EXPECT_EQ(next.turn_holders, std::vector{TicketId{1}});
  EXPECT_EQ(next.tickets_ahead, std::vector{TicketId{2}});
  EXPECT_EQ(what_if_text(fixture, fixture.make_request(tts)),
            "A ticket for tts would wait at place 2 of the line.\n"
            "The turn is held by ticket 1 (chat).\n"
            "Ahead of it wait: ticket 2 (chat).\n"
            "Its estimated start is in 2.0 s.\n");
}

TEST(WhatIf, NamesTheEvictionsAndTheLoad) {
  JournalFixture fixture;
  fixture.make_consumer({.name = "chat", .footprint = kGiB * 16}, true);
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB * 16}, false);
  const std::string text = what_if_text(fixture, fixture.make_request(image));
  EXPECT_NE(text.find("A ticket for image would get its turn at once.\n"), std::string::npos) << text;
  EXPECT_NE(text.find("chat (16.0 GiB, "), std::string::npos) << text;
  EXPECT_NE(text.find("Image would have to be loaded.\n"), std::string::npos) << text;
}

TEST(WhatIf, TreatsAnOldReadingAsNew) {
  JournalFixture fixture;
  const ConsumerId image = fixture.make_consumer({.name = "image", .footprint = kGiB}, false);
  fixture.advance(1h);
  const WhatIf next = what_if(fixture.world, fixture.make_request(image));
  EXPECT_EQ(next.stage, TicketStage::preparing);
  EXPECT_TRUE(std::holds_alternative<Load>(next.effects.back()));
}

TEST(WhatIf, NamesTheErrorOfARefusal) {
  JournalFixture fixture;
  const ConsumerId huge = fixture.make_consumer({.name = "huge", .footprint = kGiB * 80}, false);
  const WhatIf next = what_if(fixture.world, fixture.make_request(huge));
  ASSERT_TRUE(next.refused);
  EXPECT_EQ(next.refused->code, ErrorCode::never_fits);
  EXPECT_NE(
      what_if_text(fixture, fixture.make_request(huge)).find("would be refused: never_fits, needs 80.0 GiB"),
      std::string::npos);
}

TEST(WhatIf, ASplitConsumerWaitsForTheTurnHoldersOfAllItsDevices) {
  JournalFixture fixture(Policy::affinity);
  fixture.world.limits.load_ahead = false;
  const DeviceId second = add_device(fixture.world, {.name = "gpu1"});
  fixture.apply(
      ReadingTaken{{.device = second, .taken_at = fixture.world.now + Duration{1}, .total = kGiB * 24}});
  const ConsumerId on_second =
      fixture.make_consumer({.name = "other", .device = second, .footprint = kGiB}, true);
  const TicketId running =
      fixture.submit({.device = second, .consumer = on_second, .resident = fixture.resident(on_second)});
  const ConsumerId large = fixture.make_consumer({.name = "large",
                                                  .device = fixture.gpu,
                                                  .devices = {fixture.gpu, second},
                                                  .split = {1, 1},
                                                  .footprint = kGiB * 8},
                                                 false);
  const WhatIf next = what_if(fixture.world, fixture.make_request(large));
  EXPECT_EQ(next.stage, TicketStage::waiting);
  EXPECT_EQ(next.turn_holders, std::vector{running});
}

}  // namespace
}  // namespace mgpu::explain
