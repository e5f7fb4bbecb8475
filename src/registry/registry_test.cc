#include "registry/registry.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

// One 24 GiB device with a chat consumer of 14 GiB + 1 GiB working.
struct RegistryFixture {
  Registry registry{.devices = {{.name = "gpu0", .reserve = kGiB}},
                    .readings = {{.taken_at = {1}, .total = kGiB * 24}},
                    .bare_reserved = {{}}};
  ConsumerId chat = add_consumer(registry, {.name = "chat", .footprint = kGiB * 14, .working = kGiB});
  ResidentId resident = add_resident(registry, chat, "", kGiB * 14);
};

TEST(Headroom, IsTotalMinusReserveForeignAndCommitted) {
  RegistryFixture fixture;
  EXPECT_EQ(headroom(fixture.registry, {}), kGiB * 23);
  fixture.registry.readings[0].foreign = kGiB * 3;
  fixture.registry[fixture.resident].state = Residency::warm;
  fixture.registry[fixture.chat].running_leases = 1;
  EXPECT_EQ(headroom(fixture.registry, {}), kGiB * 5);
}

TEST(Committed, IsTheLargerOfMeasuredAndExpected) {
  RegistryFixture fixture;
  fixture.registry[fixture.resident].state = Residency::warm;
  fixture.registry[fixture.chat].primary_usage.measured = kGiB * 16;
  EXPECT_EQ(committed_bytes(fixture.registry, fixture.registry[fixture.chat], DeviceId{}), kGiB * 16);
  fixture.registry[fixture.chat].primary_usage.measured = kGiB * 2;
  EXPECT_EQ(committed_bytes(fixture.registry, fixture.registry[fixture.chat], DeviceId{}), kGiB * 14);
}

TEST(Committed, IncludesMeasuredMemoryOfAColdResident) {
  RegistryFixture fixture;
  fixture.registry[fixture.chat].primary_usage.measured = kMiB * 600;
  EXPECT_EQ(committed_bytes(fixture.registry, fixture.registry[fixture.chat], DeviceId{}), kMiB * 600);
}

TEST(Committed, UnattributedMemoryCountsInAdditionToTheNextLoad) {
  RegistryFixture fixture;
  fixture.registry[fixture.chat].primary_usage.measured = kGiB * 3;  // of a process that was killed
  attribute_measurement(fixture.registry, fixture.registry[fixture.chat], DeviceId{});
  fixture.registry[fixture.resident].state = Residency::loading;
  EXPECT_EQ(committed_bytes(fixture.registry, fixture.registry[fixture.chat], DeviceId{}), kGiB * 17);
}

TEST(Committed, TheResidueOfARunningProcessIsPartOfItsFootprint) {
  RegistryFixture fixture;
  fixture.registry[fixture.chat].spec.residue = kMiB * 600;
  fixture.registry[fixture.chat].primary_usage.measured = kMiB * 600;
  attribute_measurement(fixture.registry, fixture.registry[fixture.chat], DeviceId{});
  fixture.registry[fixture.resident].state = Residency::loading;
  EXPECT_EQ(committed_bytes(fixture.registry, fixture.registry[fixture.chat], DeviceId{}), kGiB * 14);
}

TEST(Committed, APromiseReservesFootprintAndWorkingBeforeTheLoadStarts) {
  RegistryFixture fixture;
  fixture.registry[fixture.resident].use_count = 1;
  fixture.registry[fixture.chat].promised_tickets = 1;
  EXPECT_EQ(committed_bytes(fixture.registry, DeviceId{}), kGiB * 15);
}

TEST(Headroom, MayBeNegative) {
  RegistryFixture fixture;
  fixture.registry.readings[0].foreign = kGiB * 30;
  EXPECT_EQ(headroom(fixture.registry, {}), kGiB * -7);
}

}  // namespace
}  // namespace mgpu
