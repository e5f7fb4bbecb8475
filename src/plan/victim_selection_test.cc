#include "plan/victim_selection.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

struct VictimFixture {
  Registry registry{.devices = {{.name = "gpu0"}},
                    .readings = {{.taken_at = {1}, .total = kGiB * 24}},
                    .bare_reserved = {{}}};

  ResidentId add_warm_resident(std::string name, Bytes footprint, Instant last_used) {
    const ConsumerId consumer =
        add_consumer(registry, {.name = std::move(name), .footprint = footprint, .can_stop = true});
    const ResidentId id = add_resident(registry, consumer, "", footprint);
    registry[id].state = Residency::warm;
    registry[id].last_used = last_used;
    return id;
  }
  Consumer& spec(ResidentId id) { return registry[registry[id].consumer].spec; }
  std::optional<std::vector<ResidentId>> choose(Bytes deficit, Instant now = {1000}) {
    std::vector<EvictionCandidate> candidates = eviction_candidates(registry, {}, now);
    return choose_victims(candidates, deficit) ? std::optional(chosen_victims(candidates)) : std::nullopt;
  }
};

using Victims = std::vector<ResidentId>;

TEST(ChooseVictims, ChoosesTheLeastRecentlyUsed) {
  VictimFixture fixture;
  fixture.add_warm_resident("fresh", kGiB * 8, {20});
  const auto old = fixture.add_warm_resident("old", kGiB * 8, {10});
  EXPECT_EQ(fixture.choose(kGiB * 4), Victims{old});
}

TEST(ChooseVictims, SparesResidentsThatAreNotNeeded) {
  VictimFixture fixture;
  fixture.add_warm_resident("small and old", kGiB, {10});
  const auto large = fixture.add_warm_resident("large and fresh", kGiB * 8, {20});
  EXPECT_EQ(fixture.choose(kGiB * 8), Victims{large});
}

TEST(ChooseVictims, IgnoresResidentsThatCannotBeEvictedNow) {
  VictimFixture fixture;
  fixture.spec(fixture.add_warm_resident("pinned", kGiB * 8, {1})).pinned = true;
  fixture.registry[fixture.add_warm_resident("in use", kGiB * 8, {2})].use_count = 1;
  fixture.registry[fixture.add_warm_resident("eviction failed", kGiB * 8, {3})].eviction_retry_at = {2000};
  fixture.spec(fixture.add_warm_resident("no rung", kGiB * 8, {4})).can_stop = false;
  fixture.registry[fixture.add_warm_resident("unloading", kGiB * 8, {5})].state = Residency::unloading;
  EXPECT_EQ(fixture.choose(kGiB), std::nullopt);
}

TEST(ChooseVictims, ChoosesNoneIfAllAreNotEnough) {
  VictimFixture fixture;
  fixture.add_warm_resident("only one", kGiB * 8, {1});
  EXPECT_EQ(fixture.choose(kGiB * 9), std::nullopt);
  EXPECT_EQ(fixture.choose(Bytes{0}), Victims{});
}

TEST(EvictionYield, ExcludesTheResidueOfAProcessThatStays) {
  VictimFixture fixture;
  const auto id = fixture.add_warm_resident("comfyui", kGiB * 8, {1});
  fixture.spec(id).can_unload = true;
  fixture.spec(id).residue = kMiB * 512;
  EXPECT_EQ(eviction_yield(fixture.registry, fixture.registry[id], DeviceId{}), kGiB * 8 - kMiB * 512);
}

TEST(EvictionYield, IncludesMemoryMeasuredAboveTheFootprint) {
  VictimFixture fixture;
  const auto id = fixture.add_warm_resident("underdeclared", kGiB * 2, {1});
  fixture.registry[fixture.registry[id].consumer].primary_usage.measured = kGiB * 5;
  EXPECT_EQ(eviction_yield(fixture.registry, fixture.registry[id], DeviceId{}), kGiB * 5);
}

}  // namespace
}  // namespace mgpu
