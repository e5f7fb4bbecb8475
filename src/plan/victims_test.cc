#include "plan/victims.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

struct Home {
  Registry registry{.devices = {{.name = "gpu0"}},
                    .readings = {{.taken_at = {1}, .total = kGiB * 24}},
                    .bare_reserved = {{}}};

  ResidentId warm(std::string name, Bytes footprint, Instant last_used) {
    const ConsumerId consumer =
        add_consumer(registry, {.name = std::move(name), .footprint = footprint, .can_stop = true});
    const ResidentId id = add_resident(registry, consumer, "", footprint);
    registry[id].state = Residency::warm;
    registry[id].last_used = last_used;
    return id;
  }
  Consumer& spec(ResidentId id) { return registry[registry[id].consumer].spec; }
  std::optional<std::vector<ResidentId>> choose(Bytes deficit, Instant now = {1000}) {
    std::vector<EvictionCandidate> candidates = candidates_on(registry, {}, now);
    return choose_victims(candidates, deficit) ? std::optional(chosen(candidates)) : std::nullopt;
  }
};

using Victims = std::vector<ResidentId>;

TEST(ChooseVictims, TakesTheLeastRecentlyUsed) {
  Home home;
  home.warm("fresh", kGiB * 8, {20});
  const auto old = home.warm("old", kGiB * 8, {10});
  EXPECT_EQ(home.choose(kGiB * 4), Victims{old});
}

TEST(ChooseVictims, SparesWhoIsNotNeededAfterAll) {
  Home home;
  home.warm("small and old", kGiB, {10});
  const auto large = home.warm("large and fresh", kGiB * 8, {20});
  EXPECT_EQ(home.choose(kGiB * 8), Victims{large});
}

TEST(ChooseVictims, LeavesAloneWhoIsPinnedInUseStubbornOrCannotLeave) {
  Home home;
  home.spec(home.warm("pinned", kGiB * 8, {1})).pinned = true;
  home.registry[home.warm("in use", kGiB * 8, {2})].use_count = 1;
  home.registry[home.warm("stubborn", kGiB * 8, {3})].eviction_retry_at = {2000};
  home.spec(home.warm("no way out", kGiB * 8, {4})).can_stop = false;
  home.registry[home.warm("leaving already", kGiB * 8, {5})].state = Residency::unloading;
  EXPECT_EQ(home.choose(kGiB), std::nullopt);
}

TEST(ChooseVictims, EvictsNobodyInVain) {
  Home home;
  home.warm("only one", kGiB * 8, {1});
  EXPECT_EQ(home.choose(kGiB * 9), std::nullopt);
  EXPECT_EQ(home.choose(Bytes{0}), Victims{});
}

TEST(YieldOf, LeavesTheResidueOfAServiceThatLivesOn) {
  Home home;
  const auto id = home.warm("comfyui", kGiB * 8, {1});
  home.spec(id).can_unload = true;
  home.spec(id).residue = kMiB * 512;
  EXPECT_EQ(yield_of(home.registry, home.registry[id], DeviceId{}), kGiB * 8 - kMiB * 512);
}

TEST(YieldOf, CountsWhatIsMeasuredAboveTheFootprint) {
  Home home;
  const auto id = home.warm("liar", kGiB * 2, {1});
  home.registry[home.registry[id].consumer].primary_usage.measured = kGiB * 5;
  EXPECT_EQ(yield_of(home.registry, home.registry[id], DeviceId{}), kGiB * 5);
}

}  // namespace
}  // namespace mgpu
