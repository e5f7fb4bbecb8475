// What is reckoned where the driver does not tell each process' bytes.
#include "engine/readings.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

constexpr Duration kSecond{1'000'000};

// A device of 24 GiB under WSL2, where a desktop takes some of it, and consumers of ours.
struct Home {
  World world;
  DeviceId gpu{add_device(world, {.name = "gpu0"})};
  Arrivals arrivals;
  Instant now{1'000'000};

  ConsumerId consumer(Bytes footprint, bool ours_to_stop = true, Bytes working = {}) {
    const ConsumerId id =
        add_consumer(world.registry, {.footprint = footprint, .working = working, .can_stop = ours_to_stop});
    add_resident(world.registry, id, "", footprint);
    arrivals.push_back({});
    return id;
  }
  Residency& state(ConsumerId id) { return world.registry[world.registry[id].residents[0]].state; }

  // The total changes to `used_bytes`: what the next reading says, which the registry then knows.
  const Reading& shows(Bytes used) {
    now = now + kSecond;
    const gpu::RawReading raw{.total = kGiB * 24, .used = used, .lists_processes = false};
    const auto attributed = gpu::attribute(raw, {}, {}, expected_on(world, gpu));
    const bool tells = tells_by_process(world, gpu, raw, attributed, false);
    EXPECT_FALSE(tells);
    Reading reading = reading_of(world, gpu, now, raw, attributed, tells, arrivals);
    Bytes sum = reading.foreign + reading.bare;
    for (ConsumerState& known : world.registry.consumers) known.primary_usage.measured = {};
    for (const auto& [id, bytes] : reading.consumers) {
      sum += bytes;
      world.registry[id].primary_usage.measured = bytes;
    }
    EXPECT_EQ(sum, used) << "nothing in use may be called free";
    return world.registry.readings[gpu.value] = reading;
  }
  Bytes foreign() const { return world.registry.readings[gpu.value].foreign; }
  Bytes measured(ConsumerId id) const { return world.registry[id].primary_usage.measured; }

  void loads(ConsumerId id, Bytes until_used) {
    state(id) = Residency::loading;
    shows(until_used);
    state(id) = Residency::warm;
  }
};

TEST(ReckonedByTotals, WhatComesWhileAConsumerLoadsIsItsOwn) {
  Home home;
  const auto llm = home.consumer(kGiB * 8);
  home.shows(kGiB * 3);
  EXPECT_EQ(home.foreign(), kGiB * 3);
  home.loads(llm, kGiB * 8);  // it holds less than it declared
  EXPECT_EQ(home.measured(llm), kGiB * 5);
  EXPECT_EQ(home.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, TheEndOfALoadBetweenTwoReadingsIsStillTheLoads) {
  Home home;
  const auto llm = home.consumer(kGiB * 8);
  home.shows(kGiB * 3);
  home.loads(llm, kGiB * 4);
  home.arrivals[llm.value].loaded = home.now + Duration{1};
  home.shows(kGiB * 11);
  EXPECT_EQ(home.measured(llm), kGiB * 8);
  EXPECT_EQ(home.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, WhatGoesWhileAConsumerLeavesWasItsOwnAlsoWhereItDeclaredTooMuch) {
  Home home;
  const auto llm = home.consumer(kGiB * 8);
  home.shows(kGiB * 3);
  home.loads(llm, kGiB * 8);
  home.state(llm) = Residency::unloading;
  home.shows(kGiB * 3);
  EXPECT_EQ(home.measured(llm), Bytes{0});
  EXPECT_EQ(home.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, WhatDidNotComeFreeIsStillHeld) {
  Home home;
  const auto llm = home.consumer(kGiB * 8);
  home.loads(llm, kGiB * 8);
  home.state(llm) = Residency::unloading;
  home.shows(kGiB * 6);
  EXPECT_EQ(home.measured(llm), kGiB * 6);
  home.state(llm) = Residency::cold;  // killed, and it lingers
  home.shows(kGiB * 6);
  EXPECT_EQ(home.measured(llm), kGiB * 6);
  home.shows(kGiB * 0);
  EXPECT_EQ(home.measured(llm), Bytes{0});
}

TEST(ReckonedByTotals, WhatComesAndGoesBesideIdleConsumersIsForeign) {
  Home home;
  const auto llm = home.consumer(kGiB * 8);
  home.loads(llm, kGiB * 8);
  home.shows(kGiB * 13);
  EXPECT_EQ(home.foreign(), kGiB * 5);
  home.shows(kGiB * 9);
  EXPECT_EQ(home.foreign(), kGiB * 1);
  EXPECT_EQ(home.measured(llm), kGiB * 8);
}

TEST(ReckonedByTotals, ARunningJobMayTakeItsWorkingMemoryAndTheRestIsForeign) {
  Home home;
  const auto llm = home.consumer(kGiB * 8, true, kGiB * 2);
  home.loads(llm, kGiB * 8);
  home.world.registry[llm].running_leases = 1;
  home.shows(kGiB * 13);
  EXPECT_EQ(home.measured(llm), kGiB * 10);
  EXPECT_EQ(home.foreign(), kGiB * 3);
  home.world.registry[llm].running_leases = 0;
  home.shows(kGiB * 11);
  EXPECT_EQ(home.measured(llm), kGiB * 8);
  EXPECT_EQ(home.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, WhatAServiceLoadedBehindOurBackIsItsOwnOnceItIsFoundWarm) {
  Home home;
  const auto ollama = home.consumer(kGiB * 6, false);
  home.shows(kGiB * 7);
  EXPECT_EQ(home.foreign(), kGiB * 7);
  home.state(ollama) = Residency::warm;
  home.arrivals[ollama.value].found_warm = home.now + Duration{1};
  home.shows(kGiB * 7);
  EXPECT_EQ(home.measured(ollama), kGiB * 6);
  EXPECT_EQ(home.foreign(), kGiB * 1);
}

TEST(ReckonedByTotals, AServiceThatDeclaredTooMuchIsGivenNothingOfTheForeign) {
  Home home;
  const auto ollama = home.consumer(kGiB * 8, false);
  home.shows(kGiB * 3);
  home.state(ollama) = Residency::loading;
  home.shows(kGiB * 4);
  home.state(ollama) = Residency::warm;
  home.arrivals[ollama.value].loaded = home.now + Duration{1};
  home.shows(kGiB * 8);
  home.shows(kGiB * 8);
  EXPECT_EQ(home.measured(ollama), kGiB * 5);
  EXPECT_EQ(home.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, ABareLeaseHasWhatItReserved) {
  Home home;
  home.shows(kGiB * 3);
  home.world.registry.bare_reserved[0] = kGiB * 4;
  EXPECT_EQ(home.shows(kGiB * 8).bare, kGiB * 4);
  EXPECT_EQ(home.foreign(), kGiB * 4);
  home.world.registry.bare_reserved[0] = {};
  EXPECT_EQ(home.shows(kGiB * 4).bare, Bytes{0});
  EXPECT_EQ(home.foreign(), kGiB * 4);
}

// --- when it is reckoned at all ---

struct Listing : Home {
  ConsumerId llm = consumer(kGiB * 8);

  bool tells(const gpu::RawReading& raw, bool listed_somebody, gpu::Attribution attributed = {}) {
    return tells_by_process(world, gpu, raw, attributed, listed_somebody);
  }
};

TEST(TellsByProcess, AnEmptyListIsTheTruthUntilWhatWeHoldHasComeUnlisted) {
  Listing home;
  EXPECT_TRUE(home.tells({.used = kGiB}, false));  // nothing of ours is there
  home.state(home.llm) = Residency::warm;
  EXPECT_FALSE(home.tells({.used = kGiB * 8}, false));
  EXPECT_TRUE(home.tells({.used = kGiB * 8}, true));  // it does list others: ours holds nothing
  EXPECT_TRUE(home.tells({.used = kGiB}, false));     // ours has not come yet
}

TEST(TellsByProcess, OnceItDidNotTellItMustNameOneOfOursToBeBelieved) {
  Listing home;
  home.state(home.llm) = Residency::warm;
  home.world.registry.readings[0].is_per_process = false;
  EXPECT_FALSE(home.tells({.used = kGiB * 8}, true));
  EXPECT_TRUE(home.tells({.used = kGiB * 8}, true, {.consumers = {{home.llm, kGiB * 8}}}));
  home.state(home.llm) = Residency::cold;
  EXPECT_TRUE(home.tells({.used = kGiB}, true));
}

TEST(TellsByProcess, ADriverThatNeverListedAnybodyIsNotBelievedWhileSomethingLoads) {
  Listing home;
  home.world.lines[0].loading = home.world.registry[home.llm].residents[0];
  EXPECT_FALSE(home.tells({.used = kGiB}, false));
  EXPECT_TRUE(home.tells({.used = kGiB}, true));
}

}  // namespace
}  // namespace mgpu::engine
