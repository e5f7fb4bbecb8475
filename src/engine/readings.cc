#include "engine/readings.h"

#include <algorithm>

namespace mgpu::engine {
namespace {

bool leaves(const World& world, const ConsumerState& consumer) {
  return std::ranges::any_of(consumer.residents, [&](ResidentId resident) {
    return world.registry[resident].state == Residency::unloading;
  });
}

// Nobody is told apart by the driver: what stays the same stays foreign while something of ours leaves.
void suppose(Reading& reading, const World& world, Bytes used) {
  const Registry& registry = world.registry;
  reading.bare = registry.bare[reading.device.value];
  Bytes stays = reading.bare;
  std::optional<std::size_t> leaving;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerState& consumer = registry.consumers[i];
    if (consumer.spec.device != reading.device) continue;
    const bool first_to_leave = !leaving && leaves(world, consumer);
    if (first_to_leave) leaving = reading.consumers.size();
    const Bytes bytes = first_to_leave ? Bytes{} : expected(registry, consumer);
    stays += bytes;
    if (first_to_leave || bytes > Bytes{}) reading.consumers.push_back({ConsumerId{i}, bytes});
  }
  if (!leaving) return;
  const Bytes before = registry.readings[reading.device.value].foreign;
  reading.foreign = std::clamp(used - stays, Bytes{}, before);
  reading.consumers[*leaving].bytes = std::max(Bytes{}, used - stays - reading.foreign);
}

}  // namespace

Reading reading_of(const World& world, DeviceId device, Instant taken, const gpu::RawReading& raw,
                   const gpu::Attribution& attributed) {
  Reading reading{.device = device,
                  .taken = taken,
                  .total = raw.total - raw.driver_reserved,
                  .foreign = attributed.foreign};
  if (!attributed.by_process) {
    suppose(reading, world, raw.used);
    return reading;
  }
  for (const auto& [lease, bytes] : attributed.leases) reading.bare += bytes;
  for (const auto& [consumer, bytes] : attributed.consumers) reading.consumers.push_back({consumer, bytes});
  return reading;
}

Bytes expected_on(const World& world, DeviceId device) {
  Bytes sum = world.registry.bare[device.value];
  for (const ConsumerState& consumer : world.registry.consumers)
    if (consumer.spec.device == device) sum += expected(world.registry, consumer);
  return sum;
}

}  // namespace mgpu::engine
