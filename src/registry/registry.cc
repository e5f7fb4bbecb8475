#include "registry/registry.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace mgpu {

ConsumerId add_consumer(Registry& registry, Consumer spec) {
  const ConsumerId id{registry.consumers.size()};
  const std::size_t others = devices_of(spec).size() - 1;
  registry.consumers.push_back({.spec = std::move(spec), .elsewhere = std::vector<Holding>(others)});
  return id;
}

ResidentId add_resident(Registry& registry, ConsumerId consumer, std::string ai_model, Bytes footprint) {
  const ResidentId id{registry.residents.size()};
  registry.residents.push_back({.consumer = consumer,
                                .ai_model = std::move(ai_model),
                                .declared_footprint = footprint,
                                .footprint = footprint});
  registry[consumer].residents.push_back(id);
  return id;
}

namespace {

bool is_among(std::span<const DeviceId> devices, DeviceId device) {
  return std::ranges::find(devices, device) != devices.end();
}

std::size_t place_of(const Consumer& consumer, DeviceId device) {
  const auto devices = devices_of(consumer);
  const auto found = std::ranges::find(devices, device);
  MGPU_ASSERT(found != devices.end(), "a consumer holds memory where it is");
  return static_cast<std::size_t>(found - devices.begin());
}

std::int64_t all_parts(const Consumer& consumer) {
  return std::accumulate(consumer.split.begin(), consumer.split.end(), std::int64_t{0});
}

// bytes * by / over, rounded up, without going through a product that is too large.
Bytes scaled(Bytes bytes, std::int64_t by, std::int64_t over) {
  return {bytes.count / over * by + (bytes.count % over * by + over - 1) / over};
}

}  // namespace

std::span<const DeviceId> devices_of(const Consumer& consumer) {
  if (consumer.split.empty()) return {&consumer.device, 1};
  MGPU_ASSERT(consumer.split.size() == consumer.devices.size() && consumer.device == consumer.devices.front(),
              "each device of a split consumer has its part");
  return consumer.devices;
}

std::span<const DeviceId> devices_of(const Registry& registry, const TicketRequest& ask) {
  if (!ask.consumer || registry[*ask.consumer].spec.split.empty()) return {&ask.device, 1};
  return devices_of(registry[*ask.consumer].spec);
}

bool is_on(const Consumer& consumer, DeviceId device) { return is_among(devices_of(consumer), device); }

bool is_on(const Registry& registry, const TicketRequest& ask, DeviceId device) {
  return is_among(devices_of(registry, ask), device);
}

Bytes part_on(const Consumer& consumer, DeviceId device, Bytes whole) {
  if (!is_on(consumer, device)) return Bytes{};
  if (consumer.split.empty()) return whole;
  return scaled(whole, consumer.split[place_of(consumer, device)], all_parts(consumer));
}

Bytes whole_of(const Consumer& consumer, DeviceId device, Bytes part) {
  if (consumer.split.empty()) return part;
  return scaled(part, all_parts(consumer), consumer.split[place_of(consumer, device)]);
}

const Holding& holding_on(const ConsumerState& consumer, DeviceId device) {
  if (consumer.spec.device == device) return consumer.here;
  return consumer.elsewhere[place_of(consumer.spec, device) - 1];
}

Holding& holding_on(ConsumerState& consumer, DeviceId device) {
  return const_cast<Holding&>(holding_on(std::as_const(consumer), device));
}

Bytes measured(const ConsumerState& consumer) {
  Bytes bytes = consumer.here.measured;
  for (const Holding& holding : consumer.elsewhere) bytes += holding.measured;
  return bytes;
}

Bytes unexplained(const ConsumerState& consumer) {
  Bytes bytes = consumer.here.unexplained;
  for (const Holding& holding : consumer.elsewhere) bytes += holding.unexplained;
  return bytes;
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
    const bool leaves = resident.state == Residency::unloading && !resident.leaves_host_memory;
    if (resident.state == Residency::warm || leaves) bytes += resident.footprint;
  }
  return bytes;
}

Bytes to_come(const Registry& registry, const ConsumerState& consumer) {
  if (consumer.spec.lease_only) return {};
  Bytes bytes = working_each(consumer) * consumer.promised;
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    const bool comes = resident.use_count > 0 && resident.state != Residency::warm;
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
void compare(const ConsumerState& consumer, DeviceId device, Holding& holding) {
  const Bytes residue = part_on(consumer.spec, device, consumer.spec.residue);
  holding.unexplained = std::max(holding.measured - std::max(holding.explained, residue), Bytes{});
}

}  // namespace

void note_measured(const Registry& registry, ConsumerState& consumer, DeviceId device) {
  if (any_in(registry, consumer, Residency::loading)) return;
  Holding& holding = holding_on(consumer, device);
  holding.explained = part_on(consumer.spec, device, held(registry, consumer));
  compare(consumer, device, holding);
}

void note_left(const Registry& registry, ConsumerState& consumer, std::optional<Bytes> footprint) {
  if (any_in(registry, consumer, Residency::loading)) return;
  for (const DeviceId device : devices_of(consumer.spec)) {
    Holding& holding = holding_on(consumer, device);
    const Bytes left = footprint ? part_on(consumer.spec, device, *footprint) : holding.explained;
    holding.explained = std::max(holding.explained - left, Bytes{});
    compare(consumer, device, holding);
  }
}

bool any_in(const Registry& registry, const ConsumerState& consumer, Residency state) {
  return std::ranges::any_of(consumer.residents, [&](ResidentId id) { return registry[id].state == state; });
}

namespace {

// What it is committed to on the device once it has grown by `more`.
Bytes grown_by(const Registry& registry, const ConsumerState& consumer, DeviceId device, Bytes more) {
  const Holding& holding = holding_on(consumer, device);
  const Bytes part = part_on(consumer.spec, device, expected(registry, consumer) + more);
  return std::max(holding.measured, part + holding.unexplained);
}

}  // namespace

Bytes committed(const Registry& registry, const ConsumerState& consumer, DeviceId device) {
  return grown_by(registry, consumer, device, Bytes{});
}

Bytes growth(const Registry& registry, const ConsumerState& consumer, DeviceId device, Bytes more) {
  return grown_by(registry, consumer, device, more) - grown_by(registry, consumer, device, Bytes{});
}

Bytes parked_bytes(const Registry& registry) {
  Bytes bytes{};
  for (const Resident& resident : registry.residents)
    if (resident.state == Residency::parked ||
        (resident.state == Residency::unloading && resident.leaves_host_memory))
      bytes += resident.footprint;
  return bytes;
}

Bytes committed(const Registry& registry, DeviceId device) {
  Bytes bytes = std::max(registry.bare[device.value], registry.readings[device.value].bare);
  for (const ConsumerState& consumer : registry.consumers)
    if (is_on(consumer.spec, device)) bytes += committed(registry, consumer, device);
  return bytes;
}

Bytes headroom(const Registry& registry, DeviceId device) {
  const Reading& reading = registry.readings[device.value];
  return reading.total - registry.devices[device.value].reserve - reading.foreign -
         committed(registry, device);
}

}  // namespace mgpu
