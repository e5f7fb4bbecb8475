#include "registry/registry.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

// One 24 GiB device with a chat consumer of 14 GiB + 1 GiB working.
struct World {
  Registry registry{.devices = {{.name = "gpu0", .reserve = kGiB}},
                    .readings = {{.taken_at = {1}, .total = kGiB * 24}},
                    .bare = {{}}};
  ConsumerId chat = add_consumer(registry, {.name = "chat", .footprint = kGiB * 14, .working = kGiB});
  ResidentId weights = add_resident(registry, chat, "", kGiB * 14);
};

TEST(Headroom, IsTotalWithoutReserveForeignAndCommitted) {
  World w;
  EXPECT_EQ(headroom(w.registry, {}), kGiB * 23);
  w.registry.readings[0].foreign = kGiB * 3;
  w.registry[w.weights].state = Residency::warm;
  w.registry[w.chat].running = 1;
  EXPECT_EQ(headroom(w.registry, {}), kGiB * 5);
}

TEST(Committed, IsTheLargerOfMeasuredAndExpected) {
  World w;
  w.registry[w.weights].state = Residency::warm;
  w.registry[w.chat].here.measured = kGiB * 16;
  EXPECT_EQ(committed(w.registry, w.registry[w.chat], DeviceId{}), kGiB * 16);
  w.registry[w.chat].here.measured = kGiB * 2;
  EXPECT_EQ(committed(w.registry, w.registry[w.chat], DeviceId{}), kGiB * 14);
}

TEST(Committed, KeepsWhatAColdResidentDidNotGiveBack) {
  World w;
  w.registry[w.chat].here.measured = kMiB * 600;
  EXPECT_EQ(committed(w.registry, w.registry[w.chat], DeviceId{}), kMiB * 600);
}

TEST(Committed, WhatLingersComesOnTopOfTheNextLoad) {
  World w;
  w.registry[w.chat].here.measured = kGiB * 3;  // of a process that was killed
  note_measured(w.registry, w.registry[w.chat], DeviceId{});
  w.registry[w.weights].state = Residency::loading;
  EXPECT_EQ(committed(w.registry, w.registry[w.chat], DeviceId{}), kGiB * 17);
}

TEST(Committed, TheResidueOfALivingProcessIsPartOfItsFootprint) {
  World w;
  w.registry[w.chat].spec.residue = kMiB * 600;
  w.registry[w.chat].here.measured = kMiB * 600;
  note_measured(w.registry, w.registry[w.chat], DeviceId{});
  w.registry[w.weights].state = Residency::loading;
  EXPECT_EQ(committed(w.registry, w.registry[w.chat], DeviceId{}), kGiB * 14);
}

TEST(Committed, APromiseReservesFootprintAndWorkingBeforeTheLoadStarts) {
  World w;
  w.registry[w.weights].use_count = 1;
  w.registry[w.chat].promised = 1;
  EXPECT_EQ(committed(w.registry, DeviceId{}), kGiB * 15);
}

TEST(Headroom, MayBeNegative) {
  World w;
  w.registry.readings[0].foreign = kGiB * 30;
  EXPECT_EQ(headroom(w.registry, {}), kGiB * -7);
}

}  // namespace
}  // namespace mgpu
