#include "engine/uninvited_loads.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

struct RegistryFixture {
  Registry registry;
  ConsumerId ollama = add_consumer(registry, {.name = "ollama"});
  ResidentId small = add_warm("small");
  ResidentId large = add_warm("large");

  ResidentId add_warm(const std::string& ai_model) {
    const ResidentId id = add_resident(registry, ollama, ai_model, kGiB);
    registry[id].state = Residency::warm;
    return id;
  }
};

TEST(UninvitedLoads, WhatIsThereAtTheFirstLookDoesNotCount) {
  RegistryFixture fixture;
  UninvitedLoads loads;
  loads.record(fixture.registry, fixture.small);
  EXPECT_EQ(loads.count(), 0u);
  EXPECT_FALSE(loads.has_unused());
  loads.set_baseline();
  loads.record(fixture.registry, fixture.large);
  EXPECT_EQ(loads.count(), 1u);
  EXPECT_EQ(loads.take_unused(), std::vector{fixture.large});
  EXPECT_FALSE(loads.has_unused());
}

TEST(UninvitedLoads, WhatARequestOfOursUsedMayStay) {
  RegistryFixture fixture;
  UninvitedLoads loads;
  loads.set_baseline();
  loads.record(fixture.registry, fixture.small);
  loads.record(fixture.registry, fixture.large);
  fixture.registry[fixture.small].last_used = Instant{7};
  loads.drop_used(fixture.registry);
  EXPECT_EQ(loads.take_unused(), std::vector{fixture.large});
  EXPECT_EQ(loads.count(), 2u);
}

TEST(UninvitedLoads, WhatIsGoneOrInUseIsForgotten) {
  RegistryFixture fixture;
  UninvitedLoads loads;
  loads.set_baseline();
  loads.record(fixture.registry, fixture.small);
  loads.record(fixture.registry, fixture.large);
  fixture.registry[fixture.small].state = Residency::cold;
  fixture.registry[fixture.large].use_count = 1;
  loads.drop_used(fixture.registry);
  EXPECT_FALSE(loads.has_unused());
}

}  // namespace
}  // namespace mgpu::engine
