#include "replay/house.h"

#include <algorithm>
#include <utility>

namespace mgpu::replay {
namespace {

constexpr std::int64_t kDiskBytesPerSecond = 2 * kGiB.count;
constexpr double kCachedShare = 0.4;
constexpr double kParkedShare = 0.15;
constexpr double kParkingShare = 0.1;
constexpr Duration kUnload = std::chrono::milliseconds{500};

Duration share(Duration whole, double part) {
  return Duration{static_cast<std::int64_t>(static_cast<double>(whole.count()) * part)};
}

}  // namespace

DeviceId add_device(House& house, Device device, Bytes total) {
  house.totals.push_back(total);
  return mgpu::add_device(house.world, std::move(device));
}

ConsumerId add_consumer(House& house, Consumer spec, const Costs& costs) {
  const Bytes footprint = spec.footprint;
  const bool has_resident = !spec.lease_only;
  const ConsumerId id = mgpu::add_consumer(house.world.registry, std::move(spec));
  if (!has_resident) return id;
  add_resident(house.world.registry, id, "", footprint);
  house.costs.push_back(costs);
  return id;
}

void make_costs_known(House& house) {
  for (std::size_t i = 0; i < house.costs.size(); ++i) {
    LearnedCosts& learned = house.world.registry.residents[i].costs;
    const Costs& costs = house.costs[i];
    learned.load_cold = costs.load_cold, learned.load_cached = costs.load_cached;
    learned.load_parked = costs.load_parked, learned.unload = costs.unload, learned.park = costs.park;
    learned.loads = std::max(learned.loads, 1U);
  }
}

Costs costs_from_cold(Duration load_cold) {
  return {.load_cold = load_cold,
          .load_cached = share(load_cold, kCachedShare),
          .load_parked = share(load_cold, kParkedShare),
          .unload = kUnload,
          .park = share(load_cold, kParkingShare)};
}

Costs estimated_costs(Bytes footprint) {
  const double seconds = static_cast<double>(footprint.count) / static_cast<double>(kDiskBytesPerSecond);
  return costs_from_cold(Duration{static_cast<std::int64_t>(seconds * 1e6)});
}

}  // namespace mgpu::replay
