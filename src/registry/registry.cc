#include "registry/registry.h"

#include <algorithm>
#include <utility>

namespace mgpu {

ConsumerId add_consumer(Registry& registry, Consumer spec) {
  const ConsumerId id{registry.consumers.size()};
  registry.consumers.push_back({.spec = std::move(spec)});
  return id;
}

ResidentId add_resident(Registry& registry, ConsumerId consumer, std::string ai_model, Bytes footprint) {
  const ResidentId id{registry.residents.size()};
  registry.residents.push_back(
      {.consumer = consumer, .ai_model = std::move(ai_model), .footprint = footprint});
  registry[consumer].residents.push_back(id);
  return id;
}

bool holds_memory(const Resident& resident) {
  return resident.state == Residency::loading || resident.state == Residency::warm ||
         resident.state == Residency::unloading;
}

Bytes expected(const Registry& registry, const ConsumerState& consumer) {
  if (consumer.spec.lease_only) return consumer.leased;
  Bytes bytes = consumer.spec.working * (consumer.running + consumer.promised);
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    if (holds_memory(resident) || resident.users > 0) bytes += resident.footprint;
  }
  return bytes;
}

Bytes committed(const Registry& registry, const ConsumerState& consumer) {
  return std::max(expected(registry, consumer), consumer.measured);
}

Bytes committed(const Registry& registry, DeviceId device) {
  Bytes bytes = std::max(registry.bare[device.value], registry.readings[device.value].bare);
  for (const ConsumerState& consumer : registry.consumers)
    if (consumer.spec.device == device) bytes += committed(registry, consumer);
  return bytes;
}

Bytes headroom(const Registry& registry, DeviceId device) {
  const Reading& reading = registry.readings[device.value];
  return reading.total - registry.devices[device.value].reserve - reading.foreign -
         committed(registry, device);
}

}  // namespace mgpu
