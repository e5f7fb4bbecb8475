// Attribution where the driver does not report the bytes of each process.
#include "engine/readings.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

constexpr Duration kSecond{1'000'000};

// A device of 24 GiB under WSL2 that a desktop and consumers share.
struct TotalsFixture {
  World world;
  DeviceId gpu{add_device(world, {.name = "gpu0"})};
  LastLoads last_loads;
  Instant now{1'000'000};

  ConsumerId new_consumer(Bytes footprint, bool ours_to_stop = true, Bytes working = {}) {
    const ConsumerId id =
        add_consumer(world.registry, {.footprint = footprint, .working = working, .can_stop = ours_to_stop});
    add_resident(world.registry, id, "", footprint);
    last_loads.push_back({});
    return id;
  }
  Residency& state(ConsumerId id) { return world.registry[world.registry[id].residents[0]].state; }

  // Makes the next reading with the total `used_bytes`, and stores it in the registry.
  const Reading& take_reading(Bytes used) {
    now = now + kSecond;
    const gpu::RawReading raw{.total = kGiB * 24, .used = used, .lists_processes = false};
    const auto attributed = gpu::attribute(raw, {}, {}, total_expected_bytes(world, gpu));
    const bool by_process = can_attribute_by_process(world, gpu, raw, attributed, false);
    EXPECT_FALSE(by_process);
    Reading reading = make_reading(world, gpu, now, raw, attributed, by_process, last_loads);
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

  void load(ConsumerId id, Bytes until_used) {
    state(id) = Residency::loading;
    take_reading(until_used);
    state(id) = Residency::warm;
  }
};

TEST(ReckonedByTotals, WhatComesWhileAConsumerLoadsIsItsOwn) {
  TotalsFixture fixture;
  const auto llm = fixture.new_consumer(kGiB * 8);
  fixture.take_reading(kGiB * 3);
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
  fixture.load(llm, kGiB * 8);  // it holds less than it declared
  EXPECT_EQ(fixture.measured(llm), kGiB * 5);
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, TheEndOfALoadBetweenTwoReadingsIsStillTheLoads) {
  TotalsFixture fixture;
  const auto llm = fixture.new_consumer(kGiB * 8);
  fixture.take_reading(kGiB * 3);
  fixture.load(llm, kGiB * 4);
  fixture.last_loads[llm.value].loaded_at = fixture.now + Duration{1};
  fixture.take_reading(kGiB * 11);
  EXPECT_EQ(fixture.measured(llm), kGiB * 8);
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, WhatGoesWhileAConsumerLeavesWasItsOwnAlsoWhereItDeclaredTooMuch) {
  TotalsFixture fixture;
  const auto llm = fixture.new_consumer(kGiB * 8);
  fixture.take_reading(kGiB * 3);
  fixture.load(llm, kGiB * 8);
  fixture.state(llm) = Residency::unloading;
  fixture.take_reading(kGiB * 3);
  EXPECT_EQ(fixture.measured(llm), Bytes{0});
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, WhatDidNotComeFreeIsStillHeld) {
  TotalsFixture fixture;
  const auto llm = fixture.new_consumer(kGiB * 8);
  fixture.load(llm, kGiB * 8);
  fixture.state(llm) = Residency::unloading;
  fixture.take_reading(kGiB * 6);
  EXPECT_EQ(fixture.measured(llm), kGiB * 6);
  fixture.state(llm) = Residency::cold;  // killed; its memory is still allocated
  fixture.take_reading(kGiB * 6);
  EXPECT_EQ(fixture.measured(llm), kGiB * 6);
  fixture.take_reading(kGiB * 0);
  EXPECT_EQ(fixture.measured(llm), Bytes{0});
}

TEST(ReckonedByTotals, WhatComesAndGoesBesideIdleConsumersIsForeign) {
  TotalsFixture fixture;
  const auto llm = fixture.new_consumer(kGiB * 8);
  fixture.load(llm, kGiB * 8);
  fixture.take_reading(kGiB * 13);
  EXPECT_EQ(fixture.foreign(), kGiB * 5);
  fixture.take_reading(kGiB * 9);
  EXPECT_EQ(fixture.foreign(), kGiB * 1);
  EXPECT_EQ(fixture.measured(llm), kGiB * 8);
}

TEST(ReckonedByTotals, ARunningJobMayTakeItsWorkingMemoryAndTheRestIsForeign) {
  TotalsFixture fixture;
  const auto llm = fixture.new_consumer(kGiB * 8, true, kGiB * 2);
  fixture.load(llm, kGiB * 8);
  fixture.world.registry[llm].running_leases = 1;
  fixture.take_reading(kGiB * 13);
  EXPECT_EQ(fixture.measured(llm), kGiB * 10);
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
  fixture.world.registry[llm].running_leases = 0;
  fixture.take_reading(kGiB * 11);
  EXPECT_EQ(fixture.measured(llm), kGiB * 8);
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, WhatAServiceLoadedBehindOurBackIsItsOwnOnceItIsFoundWarm) {
  TotalsFixture fixture;
  const auto ollama = fixture.new_consumer(kGiB * 6, false);
  fixture.take_reading(kGiB * 7);
  EXPECT_EQ(fixture.foreign(), kGiB * 7);
  fixture.state(ollama) = Residency::warm;
  fixture.last_loads[ollama.value].found_warm_at = fixture.now + Duration{1};
  fixture.take_reading(kGiB * 7);
  EXPECT_EQ(fixture.measured(ollama), kGiB * 6);
  EXPECT_EQ(fixture.foreign(), kGiB * 1);
}

TEST(ReckonedByTotals, AServiceThatDeclaredTooMuchIsGivenNothingOfTheForeign) {
  TotalsFixture fixture;
  const auto ollama = fixture.new_consumer(kGiB * 8, false);
  fixture.take_reading(kGiB * 3);
  fixture.state(ollama) = Residency::loading;
  fixture.take_reading(kGiB * 4);
  fixture.state(ollama) = Residency::warm;
  fixture.last_loads[ollama.value].loaded_at = fixture.now + Duration{1};
  fixture.take_reading(kGiB * 8);
  fixture.take_reading(kGiB * 8);
  EXPECT_EQ(fixture.measured(ollama), kGiB * 5);
  EXPECT_EQ(fixture.foreign(), kGiB * 3);
}

TEST(ReckonedByTotals, ABareLeaseHasWhatItReserved) {
  TotalsFixture fixture;
  fixture.take_reading(kGiB * 3);
  fixture.world.registry.bare_reserved[0] = kGiB * 4;
  EXPECT_EQ(fixture.take_reading(kGiB * 8).bare, kGiB * 4);
  EXPECT_EQ(fixture.foreign(), kGiB * 4);
  fixture.world.registry.bare_reserved[0] = {};
  EXPECT_EQ(fixture.take_reading(kGiB * 4).bare, Bytes{0});
  EXPECT_EQ(fixture.foreign(), kGiB * 4);
}

// --- when bytes are attributed by totals ---

struct ListedFixture : TotalsFixture {
  ConsumerId llm = new_consumer(kGiB * 8);

  bool can_attribute(const gpu::RawReading& raw, bool listed_processes, gpu::Attribution attributed = {}) {
    return can_attribute_by_process(world, gpu, raw, attributed, listed_processes);
  }
};

TEST(TellsByProcess, AnEmptyListIsTheTruthUntilWhatWeHoldHasComeUnlisted) {
  ListedFixture fixture;
  EXPECT_TRUE(fixture.can_attribute({.used = kGiB}, false));  // no consumer is loaded
  fixture.state(fixture.llm) = Residency::warm;
  EXPECT_FALSE(fixture.can_attribute({.used = kGiB * 8}, false));
  EXPECT_TRUE(fixture.can_attribute({.used = kGiB * 8}, true));  // others are listed: the consumer has none
  EXPECT_TRUE(fixture.can_attribute({.used = kGiB}, false));     // the consumer's memory has not arrived yet
}

TEST(TellsByProcess, OnceItDidNotTellItMustNameOneOfOursToBeBelieved) {
  ListedFixture fixture;
  fixture.state(fixture.llm) = Residency::warm;
  fixture.world.registry.readings[0].is_per_process = false;
  EXPECT_FALSE(fixture.can_attribute({.used = kGiB * 8}, true));
  EXPECT_TRUE(fixture.can_attribute({.used = kGiB * 8}, true, {.consumers = {{fixture.llm, kGiB * 8}}}));
  fixture.state(fixture.llm) = Residency::cold;
  EXPECT_TRUE(fixture.can_attribute({.used = kGiB}, true));
}

TEST(TellsByProcess, ADriverThatNeverListedAnybodyIsNotBelievedWhileSomethingLoads) {
  ListedFixture fixture;
  fixture.world.lines[0].loading = fixture.world.registry[fixture.llm].residents[0];
  EXPECT_FALSE(fixture.can_attribute({.used = kGiB}, false));
  EXPECT_TRUE(fixture.can_attribute({.used = kGiB}, true));
}

}  // namespace
}  // namespace mgpu::engine
