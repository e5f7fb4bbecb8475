// Tests of MemoryDrop: what readings alone tell of a service that lists nothing.
#include "engine/memory_drop.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

struct Readings : ::testing::Test {
  Registry registry;
  ConsumerId whisper =
      add_consumer(registry, {.name = "whisper", .footprint = kGiB * 4, .residue = kMiB * 600});
  ResidentId resident = add_resident(registry, whisper, "", kGiB * 4);
  MemoryDrop drop;

  Readings() {
    registry.readings.push_back({.taken_at = {1}});
    registry[resident].state = Residency::warm;
    registry[resident].transition_at = {1'000'000};
  }
  // Whether one of `count` readings of `bytes` shows a drop.
  bool drops_at(Bytes bytes, int count = MemoryDrop::kLowReadings) {
    registry[whisper].primary_usage.measured = bytes;
    bool dropped = false;
    for (int i = 0; i < count; ++i) dropped = drop.observe(registry, whisper) || dropped;
    return dropped;
  }
};

TEST_F(Readings, MemoryThatWasThereAndIsGoneWasDropped) {
  EXPECT_FALSE(drops_at(kGiB * 4));
  EXPECT_TRUE(drops_at(kMiB * 600));
  EXPECT_FALSE(drops_at(kMiB * 600)) << "once";
}

TEST_F(Readings, MemoryThatHasNotComeYetWasNotDropped) { EXPECT_FALSE(drops_at(kMiB * 100, 20)); }

TEST_F(Readings, OneLowReadingIsNoDrop) {
  EXPECT_FALSE(drops_at(kGiB * 4));
  EXPECT_FALSE(drops_at({}, MemoryDrop::kLowReadings - 1));
  EXPECT_FALSE(drops_at(kGiB * 4));
  EXPECT_FALSE(drops_at({}, 1));
}

TEST_F(Readings, WhatIsInUseWasNotDropped) {
  EXPECT_FALSE(drops_at(kGiB * 4));
  registry[resident].use_count = 1;
  EXPECT_FALSE(drops_at({}));
  registry[resident].use_count = 0;
  EXPECT_TRUE(drops_at({}));
}

TEST_F(Readings, ALoadBeginsAnew) {
  EXPECT_FALSE(drops_at(kGiB * 4));
  registry[resident].transition_at = {2'000'000};
  EXPECT_FALSE(drops_at({}));
}

TEST_F(Readings, ComputedBytesProveNothing) {
  registry.readings.front().is_per_process = false;
  EXPECT_FALSE(drops_at(kGiB * 4));
  EXPECT_FALSE(drops_at({}));
}

}  // namespace
}  // namespace mgpu::engine
