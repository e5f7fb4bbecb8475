// Tests of ListingRecord: what an answer of a service tells the core.
#include "engine/listing_record.h"

#include <gtest/gtest.h>

#include "sched/step.h"

namespace mgpu::engine {
namespace {

struct Listings : ::testing::Test {
  World world;
  ListingRecord record;
  ConsumerId ollama{};
  ResidentId small{}, big{};

  Listings() {
    add_device(world, {.name = "gpu0"});
    ollama = add_consumer(world.registry, {.name = "ollama", .can_unload = true});
    small = add_resident(world.registry, ollama, "small", kGiB * 2);
    big = add_resident(world.registry, ollama, "big", kGiB * 8);
    world.now = {1'000'000};
  }
  void set(ResidentId id, Residency state) { world.registry[id].state = state; }

  // "0 cold, 1 warm".
  std::string news(std::set<std::string> offered, std::map<ResidentId, Presence> present,
                   bool loads_lazily = false, Instant asked_at = {900'000}) {
    constexpr std::array<std::string_view, 5> kNames{"cold", "loading", "warm", "parked", "gone"};
    std::string text;
    for (const ResidentFound& found : record.find_news(
             world, ollama,
             {.asked_at = asked_at, .offered = std::move(offered), .present = std::move(present)},
             loads_lazily))
      text += std::string(text.empty() ? "" : ", ") + std::to_string(found.resident.value) + " " +
              std::string(kNames[static_cast<std::size_t>(found.presence)]);
    return text;
  }
};

TEST_F(Listings, OnlyDifferencesAreNews) {
  set(small, Residency::warm);
  EXPECT_EQ(news({"small", "big"}, {{small, Presence::warm}}), "");
  EXPECT_EQ(news({"small", "big"}, {{big, Presence::warm}}), "0 cold, 1 warm");
  EXPECT_EQ(news({"small", "big"}, {{small, Presence::warm}, {big, Presence::loading}}), "1 loading");
}

TEST_F(Listings, WhatWasListedAndIsNoLongerIsGone) {
  EXPECT_EQ(news({"small"}, {}), "") << "big was never listed";
  EXPECT_EQ(news({"big"}, {}), "0 gone");
  world.registry[small].is_gone = true;
  EXPECT_EQ(news({"big"}, {}), "") << "it stays gone";
  EXPECT_EQ(news({"small", "big"}, {}), "0 cold") << "it is back";
}

TEST_F(Listings, WhatIsStillLoadedIsNotGone) {
  set(small, Residency::warm);
  EXPECT_EQ(news({"small", "big"}, {{small, Presence::warm}}), "");
  EXPECT_EQ(news({"big"}, {{small, Presence::warm}}), "");
}

TEST_F(Listings, ALeaseThatEndedMeanwhileMayHaveLoadedIt) {
  set(small, Residency::warm);
  world.registry[small].last_used = {950'000};
  EXPECT_EQ(news({"small"}, {}), "");
  EXPECT_EQ(news({"small"}, {}, false, {951'000}), "0 cold");
}

TEST_F(Listings, AServiceThatLoadsLazilyDropsOnlyWhatItHasListed) {
  set(small, Residency::warm);
  world.registry[small].transition_at = {800'000};
  EXPECT_EQ(news({"small"}, {}, true), "") << "its first request has yet to load it";
  EXPECT_EQ(news({"small"}, {{small, Presence::warm}}, true), "");
  EXPECT_EQ(news({"small"}, {}, true), "0 cold");
  world.registry[small].transition_at = {960'000};  // loaded again
  EXPECT_EQ(news({"small"}, {}, true), "");
}

TEST_F(Listings, WhatALazyServiceKeepsOfItsPoolIsNotLoaded) {
  set(small, Residency::warm);
  world.registry[small].transition_at = {800'000};
  EXPECT_EQ(news({"small"}, {{small, Presence::warm}}, true), "");
  set(small, Residency::cold);  // evicted
  EXPECT_EQ(news({"small"}, {{small, Presence::warm}}, true), "");
  EXPECT_EQ(news({"small"}, {}, true), "");
  EXPECT_EQ(news({"small"}, {{small, Presence::warm}}, true), "0 warm") << "somebody else uses it";
}

}  // namespace
}  // namespace mgpu::engine
