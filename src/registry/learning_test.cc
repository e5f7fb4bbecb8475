// Stories of what is learned, and of what is not.
#include "registry/learning.h"

#include <gtest/gtest.h>

#include "registry/costs.h"
#include "registry/habits.h"

namespace mgpu {
namespace {

using namespace std::chrono_literals;

struct Home {
  Registry registry{.devices = {{.name = "gpu0"}}, .readings = {{.total = kGiB * 24}}, .bare = {{}}};
  ConsumerId chat{};
  ResidentId model{};

  explicit Home(FootprintDeclaration declared = FootprintDeclaration::guess)
      : chat(add_consumer(
            registry,
            {.name = "chat", .footprint = kGiB * 8, .working = kGiB, .footprint_declaration = declared})),
        model(add_resident(registry, chat, "", kGiB * 8)) {}

  ConsumerState& consumer() { return registry[chat]; }
  Resident& resident() { return registry[model]; }
  void loads(Instant from = {0}, Instant to = {5'000'000}, LoadSource source = LoadSource::cold) {
    resident().state = Residency::loading;
    learn_load_began(registry, model, from);
    resident().state = Residency::warm;
    learn_load_ended(registry, model, to, source);
  }
  bool measured(Bytes bytes, Instant taken = {60'000'000}) {
    consumer().here.measured = bytes;
    return learn_measured(registry, consumer(), {0}, taken);
  }
  void leaves(Rung rung = Rung::stop) {
    resident().transition_at = {0};
    resident().state = Residency::cold;
    learn_left(registry, model, {1'000'000}, rung);
  }
};

TEST(Learning, ASmallerFootprintIsBelievedOnceItHasLeft) {
  Home home;
  home.loads();
  home.measured(kGiB * 6);
  EXPECT_EQ(home.resident().footprint, kGiB * 8) << "it may take more yet";
  home.leaves();
  EXPECT_EQ(home.resident().footprint, kGiB * 6);
}

TEST(Learning, AReadingFromTheMiddleOfALoadTeachesNoFootprint) {
  Home home;
  home.loads({0}, {5'000'000});
  home.measured(kGiB * 2, {4'000'000});
  home.leaves();
  EXPECT_EQ(home.resident().footprint, kGiB * 8);
}

// Found by the property that nobody starves. The other device's last reading may be from before a job ended.
TEST(Learning, OfASplitConsumerEachDeviceSpeaksForItself) {
  Registry registry{.devices = {{.name = "gpu0"}, {.name = "gpu1"}},
                    .readings = {{.total = kGiB * 24}, {.total = kGiB * 24}},
                    .bare = {{}, {}}};
  const ConsumerId large = add_consumer(
      registry,
      {.name = "large", .devices = {{0}, {1}}, .split = {2, 1}, .footprint = kGiB * 30, .working = kGiB * 3});
  const ResidentId id = add_resident(registry, large, "", kGiB * 30);
  registry[id].state = Residency::loading;
  learn_load_began(registry, id, {0});
  registry[id].state = Residency::warm;
  learn_load_ended(registry, id, {5'000'000}, LoadSource::cold);
  const auto seen = [&](DeviceId device, Bytes bytes) {
    holding_on(registry[large], device).measured = bytes;
    learn_measured(registry, registry[large], device, {6'000'000});
  };
  registry[large].running = 1;
  seen({0}, kGiB * 22), seen({1}, kGiB * 11);
  registry[large].running = 0;
  seen({0}, kGiB * 20);
  EXPECT_EQ(registry[id].footprint, kGiB * 30) << "the second device was last read while a job ran";
  seen({1}, kGiB * 11);
  EXPECT_EQ(registry[id].footprint, kGiB * 33) << "but what it shows now is believed";
}

TEST(Learning, ALargerFootprintIsBelievedAtOnce) {
  Home home;
  home.loads();
  EXPECT_TRUE(home.measured(kGiB * 9));
  EXPECT_EQ(home.resident().footprint, kGiB * 9);
}

TEST(Learning, WhatWasDeclaredMayBeAFloorOrACeiling) {
  Home floor(FootprintDeclaration::at_least), ceiling(FootprintDeclaration::at_most);
  floor.loads(), floor.measured(kGiB * 6), floor.leaves();
  EXPECT_EQ(floor.resident().footprint, kGiB * 8);
  ceiling.loads(), ceiling.measured(kGiB * 9);
  EXPECT_EQ(ceiling.resident().footprint, kGiB * 8);
}

TEST(Learning, WorkingMemoryIsWhatOneJobAddedAndNeverLessThanDeclared) {
  Home home;
  home.loads();
  home.measured(kGiB * 8);
  home.consumer().running = 2;
  home.measured(kGiB * 9);
  EXPECT_EQ(working_each(home.consumer()), kGiB) << "half a GiB each is less than was declared";
  home.measured(kGiB * 12);
  EXPECT_EQ(working_each(home.consumer()), kGiB * 2);
}

TEST(Learning, BytesThatNobodyCouldExplainTeachNothing) {
  Home home;
  home.consumer().here.unexplained = kGiB * 3;
  home.loads();
  home.measured(kGiB * 11);
  home.leaves();
  EXPECT_EQ(home.resident().footprint, kGiB * 8);
}

TEST(Learning, SecondsAreKeptByWhereTheWeightsCameFrom) {
  Home home;
  home.loads({0}, {20'000'000}, LoadSource::cold);
  home.loads({0}, {6'000'000}, LoadSource::cached);
  EXPECT_EQ(load_time(home.resident(), LoadSource::cold), Duration{20s});
  EXPECT_EQ(load_time(home.resident(), LoadSource::cached), Duration{6s});
  home.loads({0}, {10'000'000}, LoadSource::cold);
  EXPECT_EQ(load_time(home.resident(), LoadSource::cold), Duration{15s}) << "the latest counts half";
}

TEST(Learning, OutOfMemoryMeansThatMoreIsExpected) {
  Home home;
  learn_out_of_memory(home.registry, home.model);
  EXPECT_EQ(working_each(home.consumer()), kGiB * 2);
}

// A client that makes its service run out of memory again and again must not make it impossible for all
// others.
TEST(Learning, WhatIsGuessedGivesWayToWhatIsSeen) {
  Home home;
  home.loads();
  while (learn_out_of_memory(home.registry, home.model)) {
  }
  EXPECT_EQ(home.resident().footprint + working_each(home.consumer()), kGiB * 24)
      << "all that the device has";
  ASSERT_TRUE(home.measured(kGiB * 9)) << "a job that was given up still holds some";
  EXPECT_EQ(working_each(home.consumer()), kGiB * 15);
  EXPECT_EQ(home.resident().costs.working, kGiB * 15);
  ASSERT_TRUE(home.measured(kMiB * 1024 * 23 + kMiB * 512));
  EXPECT_EQ(working_each(home.consumer()), kGiB) << "never less than declared";
}

TEST(Habits, UsesFade) {
  Home home;
  note_use(home.registry, home.model, {0});
  const double fresh = chance_of_use(home.resident(), {0}, 60s);
  EXPECT_NEAR(chance_of_use(home.resident(), Instant{} + kHalfLife, 60s), fresh / 2, 0.01);
}

TEST(Habits, AFollowerIsNoticedAfterAFewTimesAndForgottenWhenOthersFollow) {
  Home home;
  const auto tts = add_consumer(home.registry, {.name = "tts"});
  const auto other = add_consumer(home.registry, {.name = "other"});
  note_followed(home.registry, home.chat, tts);
  EXPECT_EQ(chance_of_following(home.registry, home.chat, tts), 0) << "once is nothing";
  for (int i = 0; i < 4; ++i) note_followed(home.registry, home.chat, tts);
  EXPECT_EQ(chance_of_following(home.registry, home.chat, tts), 1);
  for (int i = 0; i < 40; ++i) note_followed(home.registry, home.chat, other);
  EXPECT_LT(chance_of_following(home.registry, home.chat, tts), 0.2);
}

TEST(Habits, WhatTheUserStatesNeedsNoNoticing) {
  Home home;
  const auto tts = add_consumer(home.registry, {.name = "tts"});
  home.consumer().spec.followed_by = {tts};
  EXPECT_EQ(chance_of_following(home.registry, home.chat, tts), 1);
}

}  // namespace
}  // namespace mgpu
