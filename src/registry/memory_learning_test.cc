#include "registry/memory_learning.h"

#include <gtest/gtest.h>

#include "registry/learning_fixture.h"

namespace mgpu {
namespace {

TEST(MemoryLearning, ASmallerFootprintCountsAfterTheEviction) {
  LearningFixture fixture;
  fixture.load();
  fixture.measure(kGiB * 6);
  EXPECT_EQ(fixture.resident().footprint, kGiB * 8) << "the service may still allocate more";
  fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 6);
}

TEST(MemoryLearning, AReadingTakenDuringTheLoadTeachesNoFootprint) {
  LearningFixture fixture;
  fixture.load({0}, {5'000'000});
  fixture.measure(kGiB * 2, {4'000'000});
  fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 8);
}

// Found by the starvation property test: the last reading of the other device may be from before a job ended.
TEST(MemoryLearning, EachDeviceOfASplitConsumerIsMeasuredAlone) {
  Registry registry{.devices = {{.name = "gpu0"}, {.name = "gpu1"}},
                    .readings = {{.total = kGiB * 24}, {.total = kGiB * 24}},
                    .bare_reserved = {{}, {}}};
  const ConsumerId large = add_consumer(
      registry,
      {.name = "large", .devices = {{0}, {1}}, .split = {2, 1}, .footprint = kGiB * 30, .working = kGiB * 3});
  const ResidentId id = add_resident(registry, large, "", kGiB * 30);
  registry[id].state = Residency::loading;
  learn_load_start(registry, id, {0});
  registry[id].state = Residency::warm;
  learn_load_end(registry, id, {5'000'000}, LoadSource::cold);
  const auto measure = [&](DeviceId device, Bytes bytes) {
    device_usage(registry[large], device).measured = bytes;
    device_usage(registry[large], device).jobs = registry[large].running_leases;
    learn_measurement(registry, registry[large], device, {6'000'000});
  };
  registry[large].running_leases = 1;
  measure({0}, kGiB * 22), measure({1}, kGiB * 11);
  registry[large].running_leases = 0;
  measure({0}, kGiB * 20);
  EXPECT_EQ(registry[id].footprint, kGiB * 30) << "the second device was last read while a job ran";
  measure({1}, kGiB * 11);
  EXPECT_EQ(registry[id].footprint, kGiB * 33) << "a reading without a running job counts";
}

TEST(MemoryLearning, ALargerFootprintCountsAtOnce) {
  LearningFixture fixture;
  fixture.load();
  fixture.measure(kGiB * 9);
  EXPECT_EQ(fixture.resident().footprint, kGiB * 9);
}

TEST(MemoryLearning, ADeclaredFootprintMayBeAMinimumOrAMaximum) {
  LearningFixture floor(FootprintDeclaration::at_least), ceiling(FootprintDeclaration::at_most);
  floor.load(), floor.measure(kGiB * 6), floor.evict();
  EXPECT_EQ(floor.resident().footprint, kGiB * 8);
  ceiling.load(), ceiling.measure(kGiB * 9);
  EXPECT_EQ(ceiling.resident().footprint, kGiB * 8);
}

TEST(MemoryLearning, WorkingMemoryIsWhatOneJobAddedAndNeverLessThanDeclared) {
  LearningFixture fixture;
  fixture.load();
  fixture.measure(kGiB * 8);
  fixture.consumer().running_leases = 2;
  fixture.measure(kGiB * 9);
  EXPECT_EQ(working_per_job(fixture.consumer()), kGiB) << "half a GiB for each job is less than declared";
  fixture.measure(kGiB * 12);
  EXPECT_EQ(working_per_job(fixture.consumer()), kGiB * 2);
}

TEST(MemoryLearning, UnattributedBytesTeachNothing) {
  LearningFixture fixture;
  fixture.consumer().primary_usage.unattributed = kGiB * 3;
  fixture.load();
  fixture.measure(kGiB * 11);
  fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 8);
}

TEST(MemoryLearning, OutOfMemoryRaisesTheExpectedWorkingMemory) {
  LearningFixture fixture;
  learn_out_of_memory(fixture.registry, fixture.model);
  EXPECT_EQ(working_per_job(fixture.consumer()), kGiB * 2);
}

// A client that provokes out-of-memory errors again and again must not make the consumer impossible to grant.
TEST(MemoryLearning, AMeasuredFootprintLowersTheGuessedWorkingMemory) {
  LearningFixture fixture;
  fixture.load();
  while (learn_out_of_memory(fixture.registry, fixture.model)) {
  }
  EXPECT_EQ(fixture.resident().footprint + working_per_job(fixture.consumer()), kGiB * 24)
      << "all that the device has";
  fixture.measure(kGiB * 9);  // an aborted job still holds memory
  EXPECT_EQ(working_per_job(fixture.consumer()), kGiB * 15);
  EXPECT_EQ(fixture.resident().costs.working, kGiB * 15);
  fixture.measure(kMiB * 1024 * 23 + kMiB * 512);
  EXPECT_EQ(working_per_job(fixture.consumer()), kGiB) << "never less than declared";
}

TEST(MemoryLearning, ThePeakDuringALoadIsKept) {
  LearningFixture fixture;
  fixture.load();
  fixture.measure(kGiB * 13, {4'000'000});  // no reading falls between the load and the eviction
  fixture.evict();
  EXPECT_EQ(fixture.resident().costs.footprint, kGiB * 13);
  EXPECT_EQ(fixture.resident().footprint, kGiB * 13);
}

TEST(MemoryLearning, MoreThanExpectedIsKeptAtOnce) {
  LearningFixture fixture;
  fixture.load();
  fixture.measure(kGiB * 13);
  EXPECT_EQ(fixture.resident().costs.footprint, kGiB * 13) << "it must survive a crash of its service";
}

TEST(MemoryLearning, AReadingAtTheBeginOfAnEvictionIsKept) {
  LearningFixture fixture;
  fixture.load();
  fixture.resident().state = Residency::unloading;
  fixture.measure(kGiB * 13);
  fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 13);
}

TEST(MemoryLearning, ATrulySmallerSizeReplacesALargerOne) {
  LearningFixture fixture;
  fixture.load(), fixture.measure(kGiB * 13), fixture.evict();
  fixture.load(), fixture.measure(kGiB * 6), fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 6);
}

TEST(MemoryLearning, ASmallerSizeSeenBeforeTheLastJobOnlyIsNotBelieved) {
  LearningFixture fixture;
  fixture.load(), fixture.measure(kGiB * 6);
  fixture.resident().last_used = {70'000'000};  // its job may have allocated more
  fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 8);
}

TEST(MemoryLearning, BytesOfTheFirstJobCountAsFootprintUntilItIsSeenWithoutWork) {
  LearningFixture fixture;
  fixture.load();
  fixture.consumer().running_leases = 1;
  fixture.measure(kGiB * 13);
  EXPECT_EQ(fixture.resident().footprint, kGiB * 12) << "all but the declared working memory";
  fixture.consumer().running_leases = 0;
  fixture.measure(kGiB * 9);
  EXPECT_EQ(fixture.resident().footprint, kGiB * 9);
  EXPECT_EQ(fixture.resident().costs.footprint, kGiB * 9);
  EXPECT_EQ(working_per_job(fixture.consumer()), kGiB * 4);
}

TEST(MemoryLearning, AFailedLoadTeachesThatMoreThanItsRoomIsNeeded) {
  LearningFixture fixture;
  const auto other = add_consumer(fixture.registry, {.name = "other"});
  fixture.registry[other].primary_usage.measured = kGiB * 14;
  fixture.resident().state = Residency::loading;
  learn_load_start(fixture.registry, fixture.model, {0});
  EXPECT_TRUE(learn_load_out_of_memory(fixture.registry, fixture.model));
  EXPECT_EQ(fixture.resident().costs.footprint, kGiB * 10 + kMiB * 256);
  fixture.resident().state = Residency::cold;
  fixture.load(), fixture.measure(kGiB * 9);
  EXPECT_EQ(fixture.resident().costs.footprint, kGiB * 9) << "a reading replaces the bound";
}

TEST(MemoryLearning, AFootprintThatFillsTheDeviceLeavesTheDeclaredWorkingMemory) {
  LearningFixture fixture;
  fixture.load(), fixture.measure(kGiB * 24), fixture.evict();
  EXPECT_EQ(fixture.resident().footprint, kGiB * 23) << "otherwise it would never be granted again";
}

// Two AI models of one service: "known" is declared with 4 GiB, "new" is not.
struct SiblingFixture : LearningFixture {
  ResidentId known = add_resident(registry, chat, "known", kGiB * 4);
  ResidentId unknown = add_resident(registry, chat, "new", Bytes{});

  SiblingFixture() { resident().state = Residency::cold; }
  void load_sibling(ResidentId id) {
    registry[id].state = Residency::loading;
    learn_load_start(registry, id, {10'000'000});
    registry[id].state = Residency::warm;
    learn_load_end(registry, id, {20'000'000}, LoadSource::cold);
  }
  Bytes footprint(ResidentId id) { return registry[id].footprint; }
};

TEST(MemoryLearning, TheRiseWhileOneLoadedIsItsSize) {
  SiblingFixture fixture;
  fixture.load_sibling(fixture.known), fixture.measure(kGiB * 4);
  fixture.load_sibling(fixture.unknown), fixture.measure(kGiB * 14);
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 10);
  EXPECT_EQ(fixture.registry[fixture.unknown].costs.footprint, kGiB * 10);
  EXPECT_EQ(fixture.footprint(fixture.known), kGiB * 4);
  EXPECT_EQ(fixture.consumer().primary_usage.unattributed, Bytes{});
}

TEST(MemoryLearning, TheRiseIsItsOwnAlsoBesideASiblingThatHoldsMoreThanDeclared) {
  SiblingFixture fixture;
  fixture.registry[fixture.known].state = Residency::warm;  // found loaded
  fixture.measure(kGiB * 7);
  fixture.load_sibling(fixture.unknown), fixture.measure(kGiB * 17);
  EXPECT_EQ(fixture.registry[fixture.unknown].costs.footprint, kGiB * 10);
  EXPECT_EQ(fixture.footprint(fixture.known), kGiB * 4);
}

TEST(MemoryLearning, AnObservationEndsWhenASiblingComesOrGoes) {
  SiblingFixture fixture;
  fixture.load_sibling(fixture.known), fixture.measure(kGiB * 4);
  fixture.load_sibling(fixture.unknown);
  fixture.registry[fixture.known].state = Residency::cold;
  fixture.measure(kGiB * 10);
  EXPECT_EQ(fixture.registry[fixture.unknown].costs.footprint, Bytes{});
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 10) << "nothing else explains these bytes";
}

TEST(MemoryLearning, ResidentsOfUnknownSizeShareWhatNothingElseExplains) {
  SiblingFixture fixture;
  const ResidentId other = add_resident(fixture.registry, fixture.chat, "other", Bytes{});
  for (const ResidentId id : {fixture.known, fixture.unknown, other}) {
    fixture.registry[id].state = Residency::warm;
    observe_found(fixture.registry, id);
  }
  fixture.measure(kGiB * 16);
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 6);
  EXPECT_EQ(fixture.footprint(other), kGiB * 6);
  EXPECT_EQ(fixture.consumer().primary_usage.unattributed, Bytes{});
}

TEST(MemoryLearning, WhatAnUnloadFreesIsTheSizeOfAFoundOne) {
  SiblingFixture fixture;
  fixture.registry[fixture.unknown].state = Residency::warm;
  observe_found(fixture.registry, fixture.unknown);
  learn_freed(fixture.registry, fixture.unknown, kGiB * 9);
  fixture.registry[fixture.unknown].state = Residency::cold;
  learn_departure(fixture.registry, fixture.unknown, false);
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 9);
}

TEST(MemoryLearning, AReportCountsUntilTheSizeWasMeasured) {
  SiblingFixture fixture;
  EXPECT_TRUE(learn_report(fixture.registry, fixture.unknown, kGiB * 9));
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 9);
  fixture.load_sibling(fixture.unknown), fixture.measure(kGiB * 11);
  EXPECT_FALSE(learn_report(fixture.registry, fixture.unknown, kGiB * 9));
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 11);
}

TEST(MemoryLearning, AnEstimateCountsOnlyWhereNothingIsKnown) {
  SiblingFixture fixture;
  EXPECT_FALSE(use_estimate(fixture.registry, fixture.known, kGiB * 6));
  EXPECT_TRUE(use_estimate(fixture.registry, fixture.unknown, kGiB * 6));
  EXPECT_EQ(fixture.footprint(fixture.known), kGiB * 4);
  EXPECT_EQ(fixture.footprint(fixture.unknown), kGiB * 6);
}

TEST(MemoryLearning, OneThatShowedNoMemoryUntilItsEvictionIsNotUnknownAnyMore) {
  SiblingFixture fixture;
  Resident& unknown = fixture.registry[fixture.unknown];
  unknown.is_provisional = true;
  fixture.load_sibling(fixture.unknown), fixture.measure(Bytes{});
  EXPECT_LE(unknown.footprint, kMiB);
  EXPECT_TRUE(is_size_unknown(unknown)) << "its service may have dropped it";
  learn_departure(fixture.registry, fixture.unknown, false);
  EXPECT_FALSE(is_size_unknown(unknown));
}

TEST(MemoryLearning, OneThatItsServiceDroppedStaysUnknown) {
  SiblingFixture fixture;
  fixture.registry[fixture.unknown].is_provisional = true;
  fixture.load_sibling(fixture.unknown), fixture.measure(Bytes{});
  learn_departure(fixture.registry, fixture.unknown, true);
  EXPECT_TRUE(is_size_unknown(fixture.registry[fixture.unknown]));
}

TEST(MemoryLearning, OneThatIsSeenNoMoreKeepsWhatWasLearned) {
  SiblingFixture fixture;
  Resident& unknown = fixture.registry[fixture.unknown];
  unknown.is_provisional = true;
  fixture.load_sibling(fixture.unknown);
  fixture.consumer().running_leases = unknown.use_count = 1;
  fixture.measure(kGiB * 10);
  fixture.consumer().running_leases = unknown.use_count = 0;
  fixture.measure(Bytes{});
  learn_departure(fixture.registry, fixture.unknown, false);
  EXPECT_EQ(unknown.costs.footprint, kGiB * 10);
  EXPECT_EQ(fixture.consumer().learned_working, Bytes{});
}

TEST(MemoryLearning, AReadingWithoutAResidentInUseKeepsItsRoom) {
  SiblingFixture fixture;
  Resident& unknown = fixture.registry[fixture.unknown];
  unknown.state = Residency::warm;
  observe_found(fixture.registry, fixture.unknown);
  fixture.measure(kGiB * 10);
  fixture.consumer().running_leases = unknown.use_count = 1;
  fixture.measure(Bytes{});
  EXPECT_EQ(unknown.footprint, kGiB * 10) << "its service dropped it and loads it inside the request";
}

TEST(MemoryLearning, AReadingWithoutOneOfKnownSizeKeepsItsExpectation) {
  SiblingFixture fixture;
  Resident& known = fixture.registry[fixture.known];
  known.state = Residency::warm, known.is_provisional = true, known.footprint = kGiB * 12;
  observe_found(fixture.registry, fixture.known);
  fixture.measure(Bytes{});
  EXPECT_EQ(known.footprint, kGiB * 4);
}

TEST(MemoryLearning, AMaximumBoundsOnlyWhatIsDeclared) {
  LearningFixture fixture(FootprintDeclaration::at_most);
  fixture.resident().declared_footprint = fixture.resident().footprint = Bytes{};
  fixture.load();
  fixture.measure(kGiB * 6);
  EXPECT_EQ(fixture.resident().footprint, kGiB * 6);
}

}  // namespace
}  // namespace mgpu
