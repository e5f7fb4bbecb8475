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
      {.consumer = consumer, .ai_model = std::move(ai_model), .declared = footprint, .footprint = footprint});
  registry[consumer].residents.push_back(id);
  return id;
}

Bytes working_each(const ConsumerState& consumer) {
  return std::max(consumer.spec.working, consumer.learned_working);
}

bool holds_memory(const Resident& resident) {
  return resident.state == Residency::loading || resident.state == Residency::warm ||
         resident.state == Residency::unloading;
}

Bytes held(const Registry& registry, const ConsumerState& consumer) {
  if (consumer.spec.lease_only) return consumer.leased;
  Bytes bytes = working_each(consumer) * consumer.running;
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    const bool leaves = resident.state == Residency::unloading && !resident.in_host;
    if (resident.state == Residency::warm || leaves) bytes += resident.footprint;
  }
  return bytes;
}

Bytes to_come(const Registry& registry, const ConsumerState& consumer) {
  if (consumer.spec.lease_only) return {};
  Bytes bytes = working_each(consumer) * consumer.promised;
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    const bool comes = resident.users > 0 && resident.state != Residency::warm;
    if (comes || resident.state == Residency::loading) bytes += resident.footprint;
  }
  return bytes;
}

Bytes expected(const Registry& registry, const ConsumerState& consumer) {
  return held(registry, consumer) + to_come(registry, consumer);
}

namespace {

// A footprint includes what its living process keeps, so an idle process' residue is no surprise to the next
// load.
void compare(ConsumerState& consumer) {
  consumer.unexplained =
      std::max(consumer.measured - std::max(consumer.explained, consumer.spec.residue), Bytes{});
}

}  // namespace

void note_measured(Registry& registry, ConsumerState& consumer) {
  if (any_in(registry, consumer, Residency::loading)) return;
  consumer.explained = held(registry, consumer);
  compare(consumer);
}

void note_left(Registry& registry, ConsumerState& consumer, Bytes footprint) {
  if (any_in(registry, consumer, Residency::loading)) return;
  consumer.explained = std::max(consumer.explained - footprint, Bytes{});
  compare(consumer);
}

bool any_in(const Registry& registry, const ConsumerState& consumer, Residency state) {
  return std::ranges::any_of(consumer.residents, [&](ResidentId id) { return registry[id].state == state; });
}

Bytes committed(const Registry& registry, const ConsumerState& consumer) {
  return std::max(consumer.measured, expected(registry, consumer) + consumer.unexplained);
}

Bytes growth(const Registry& registry, const ConsumerState& consumer, Bytes more) {
  const Bytes expecting = expected(registry, consumer) + consumer.unexplained;
  return std::max(consumer.measured, expecting + more) - std::max(consumer.measured, expecting);
}

Bytes parked_bytes(const Registry& registry) {
  Bytes bytes{};
  for (const Resident& resident : registry.residents)
    if (resident.state == Residency::parked || (resident.state == Residency::unloading && resident.in_host))
      bytes += resident.footprint;
  return bytes;
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
