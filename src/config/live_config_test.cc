#include "config/live_config.h"

#include <gtest/gtest.h>

namespace mgpu::config {
namespace {

std::vector<std::string> names_of(const std::vector<IdSlot>& slots) {
  std::vector<std::string> names;
  for (const IdSlot& slot : slots) names.push_back(slot.name + (slot.configured ? "" : " (gone)"));
  return names;
}

Config config_of(const std::vector<std::string>& consumers) {
  Config config;
  for (const std::string& name : consumers) config.consumers.push_back({.name = name});
  return config;
}

TEST(AssignIds, GivesTheFirstNamesTheirOrder) {
  EXPECT_EQ(names_of(assign_ids({}, {"chat", "stt"})), (std::vector<std::string>{"chat", "stt"}));
}

TEST(AssignIds, ANameThatStaysKeepsItsNumberWhateverTheOrderOfTheFile) {
  const auto slots = assign_ids(assign_ids({}, {"chat", "stt", "tts"}), {"tts", "image", "chat"});
  EXPECT_EQ(names_of(slots), (std::vector<std::string>{"chat", "stt (gone)", "tts", "image"}));
  EXPECT_EQ(find_id(slots, "tts"), 2u);
  EXPECT_EQ(find_id(slots, "stt"), std::nullopt);
}

TEST(AssignIds, ARemovedNamesNumberIsGivenToNoOtherAndComesBackWithTheName) {
  auto slots = assign_ids({}, {"chat", "stt"});
  slots = assign_ids(slots, {"chat"});
  slots = assign_ids(slots, {"chat", "image"});
  EXPECT_EQ(names_of(slots), (std::vector<std::string>{"chat", "stt (gone)", "image"}));
  slots = assign_ids(slots, {"image", "stt"});
  EXPECT_EQ(names_of(slots), (std::vector<std::string>{"chat (gone)", "stt", "image"}));
}

TEST(LiveConfig, ASnapshotStaysAsItWasWhenTheConfigurationIsReplaced) {
  Config first = config_of({"chat"});
  first.limits.max_queue = 7;
  LiveConfig live(first, {.consumers = assign_ids({}, {"chat"})});
  const Snapshot before = live.snapshot();
  const ConsumerSnapshot chat = live.consumer(ConsumerId{0});
  Config next = config_of({"chat"});
  next.limits.max_queue = 9;
  next.consumers[0].concurrency = 4;
  live.replace(next, {.consumers = assign_ids(live.ids().consumers, {"chat"})});
  EXPECT_EQ(before->limits.max_queue, 7u);
  EXPECT_EQ(chat->concurrency, 1u);
  EXPECT_EQ(live.snapshot()->limits.max_queue, 9u);
  EXPECT_EQ(live.consumer(ConsumerId{0})->concurrency, 4u);
}

TEST(LiveConfig, ARemovedConsumerIsStillKnownAsItWasLast) {
  LiveConfig live(config_of({"chat", "stt"}), {.consumers = assign_ids({}, {"chat", "stt"})});
  live.replace(config_of({"stt", "tts"}), {.consumers = assign_ids(live.ids().consumers, {"stt", "tts"})});
  ASSERT_EQ(live.consumer_count(), 3u);
  EXPECT_EQ(live.consumer(ConsumerId{0})->name, "chat");
  EXPECT_EQ(live.consumer(ConsumerId{1})->name, "stt");
  EXPECT_EQ(live.consumer(ConsumerId{2})->name, "tts");
}

}  // namespace
}  // namespace mgpu::config
