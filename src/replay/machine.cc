#include "replay/machine.h"

#include <algorithm>
#include <utility>

namespace mgpu::replay {
namespace {

constexpr std::int64_t kDiskBytesPerSecond = 2 * kGiB.count;
// Relative to the load from disk.
constexpr double kCachedLoadFactor = 0.4;
constexpr double kParkedLoadFactor = 0.15;
constexpr double kParkFactor = 0.1;
constexpr Duration kUnloadTime = std::chrono::milliseconds{500};

Duration scaled(Duration duration, double factor) {
  return Duration{static_cast<std::int64_t>(static_cast<double>(duration.count()) * factor)};
}

}  // namespace

DeviceId add_device(Machine& machine, Device device, Bytes total) {
  machine.device_memory.push_back(total);
  return mgpu::add_device(machine.world, std::move(device));
}

ConsumerId add_consumer(Machine& machine, Consumer spec, const Costs& costs) {
  const Bytes footprint = spec.footprint;
  const bool has_resident = !spec.lease_only;
  const ConsumerId id = mgpu::add_consumer(machine.world.registry, std::move(spec));
  if (!has_resident) return id;
  add_resident(machine.world.registry, id, "", footprint);
  machine.costs.push_back(costs);
  return id;
}

void set_learned_costs(Machine& machine) {
  for (std::size_t i = 0; i < machine.costs.size(); ++i) {
    LearnedCosts& learned = machine.world.registry.residents[i].costs;
    const Costs& costs = machine.costs[i];
    learned.load_cold = costs.load_cold, learned.load_cached = costs.load_cached;
    learned.load_parked = costs.load_parked, learned.unload = costs.unload, learned.park = costs.park;
    learned.loads = std::max(learned.loads, 1U);
  }
}

Costs costs_from_cold(Duration load_cold) {
  return {.load_cold = load_cold,
          .load_cached = scaled(load_cold, kCachedLoadFactor),
          .load_parked = scaled(load_cold, kParkedLoadFactor),
          .unload = kUnloadTime,
          .park = scaled(load_cold, kParkFactor)};
}

Costs estimated_costs(Bytes footprint) {
  const double seconds = static_cast<double>(footprint.count) / static_cast<double>(kDiskBytesPerSecond);
  return costs_from_cold(Duration{static_cast<std::int64_t>(seconds * 1e6)});
}

}  // namespace mgpu::replay
