#include "registry/registry.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace mgpu {

ConsumerId add_consumer(Registry& registry, Consumer spec) {
  const ConsumerId id{registry.consumers.size()};
  const std::size_t other_count = devices_of(spec).size() - 1;
  registry.consumers.push_back(
      {.spec = std::move(spec), .other_usages = std::vector<DeviceUsage>(other_count)});
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

bool contains_device(std::span<const DeviceId> devices, DeviceId device) {
  return std::ranges::find(devices, device) != devices.end();
}

std::size_t device_index(const Consumer& consumer, DeviceId device) {
  const auto devices = devices_of(consumer);
  const auto found = std::ranges::find(devices, device);
  MGPU_ASSERT(found != devices.end(), "a consumer has memory only on its own devices");
  return static_cast<std::size_t>(found - devices.begin());
}

std::int64_t sum_of_parts(const Consumer& consumer) {
  return std::accumulate(consumer.split.begin(), consumer.split.end(), std::int64_t{0});
}

// bytes * numerator / denominator, rounded up; the product of bytes and numerator could overflow.
Bytes scale_rounding_up(Bytes bytes, std::int64_t numerator, std::int64_t denominator) {
  return {bytes.count / denominator * numerator +
          (bytes.count % denominator * numerator + denominator - 1) / denominator};
}

}  // namespace

std::span<const DeviceId> devices_of(const Consumer& consumer) {
  if (consumer.split.empty()) return {&consumer.device, 1};
  MGPU_ASSERT(consumer.split.size() == consumer.devices.size() && consumer.device == consumer.devices.front(),
              "a split consumer has one share for each of its devices, and its device is the first of them");
  return consumer.devices;
}

std::span<const DeviceId> devices_of(const Registry& registry, const TicketRequest& request) {
  if (!request.consumer || registry[*request.consumer].spec.split.empty()) return {&request.device, 1};
  return devices_of(registry[*request.consumer].spec);
}

bool is_on_device(const Consumer& consumer, DeviceId device) {
  return contains_device(devices_of(consumer), device);
}

bool is_on_device(const Registry& registry, const TicketRequest& request, DeviceId device) {
  return contains_device(devices_of(registry, request), device);
}

Bytes device_part(const Consumer& consumer, DeviceId device, Bytes total) {
  if (!is_on_device(consumer, device)) return Bytes{};
  if (consumer.split.empty()) return total;
  return scale_rounding_up(total, consumer.split[device_index(consumer, device)], sum_of_parts(consumer));
}

Bytes total_from_part(const Consumer& consumer, DeviceId device, Bytes part) {
  if (consumer.split.empty()) return part;
  return scale_rounding_up(part, sum_of_parts(consumer), consumer.split[device_index(consumer, device)]);
}

const DeviceUsage& device_usage(const ConsumerState& consumer, DeviceId device) {
  if (consumer.spec.device == device) return consumer.primary_usage;
  return consumer.other_usages[device_index(consumer.spec, device) - 1];
}

DeviceUsage& device_usage(ConsumerState& consumer, DeviceId device) {
  return const_cast<DeviceUsage&>(device_usage(std::as_const(consumer), device));
}

Bytes measured_bytes(const ConsumerState& consumer) {
  Bytes bytes = consumer.primary_usage.measured;
  for (const DeviceUsage& usage : consumer.other_usages) bytes += usage.measured;
  return bytes;
}

Bytes unattributed_bytes(const ConsumerState& consumer) {
  Bytes bytes = consumer.primary_usage.unattributed;
  for (const DeviceUsage& usage : consumer.other_usages) bytes += usage.unattributed;
  return bytes;
}

Bytes working_per_job(const ConsumerState& consumer) {
  return std::max(consumer.spec.working, consumer.learned_working);
}

bool holds_memory(const Resident& resident) {
  return resident.state == Residency::loading || resident.state == Residency::warm ||
         resident.state == Residency::unloading;
}

std::vector<ResidentId> residents_in_memory(const Registry& registry, const ConsumerState& consumer,
                                            std::optional<ResidentId> except) {
  std::vector<ResidentId> found;
  for (const ResidentId id : consumer.residents)
    if (id != except && holds_memory(registry[id]) && !registry[id].leaves_host_memory) found.push_back(id);
  return found;
}

bool is_size_unknown(const Resident& resident) {
  return resident.declared_footprint == Bytes{} && resident.costs.footprint == Bytes{};
}

Bytes expected_footprint(const Resident& resident, FootprintDeclaration declaration) {
  const Bytes learned = resident.costs.footprint;
  if (learned == Bytes{}) return resident.declared_footprint;
  switch (declaration) {
    case FootprintDeclaration::at_least:
      return std::max(resident.declared_footprint, learned);
    case FootprintDeclaration::at_most:
      return resident.declared_footprint > Bytes{} ? std::min(resident.declared_footprint, learned) : learned;
    case FootprintDeclaration::guess:
      break;
  }
  return learned;
}

bool was_seen_loaded(const Resident& resident) {
  return resident.costs.loads > 0 || resident.costs.footprint > Bytes{};
}

Bytes held_bytes(const Registry& registry, const ConsumerState& consumer) {
  if (consumer.spec.lease_only) return consumer.leased_bytes;
  Bytes bytes = working_per_job(consumer) * consumer.running_leases;
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    const bool is_leaving = resident.state == Residency::unloading && !resident.leaves_host_memory;
    if (resident.state == Residency::warm || is_leaving) bytes += resident.footprint;
  }
  return bytes;
}

Bytes promised_bytes(const Registry& registry, const ConsumerState& consumer) {
  if (consumer.spec.lease_only) return {};
  Bytes bytes = working_per_job(consumer) * consumer.promised_tickets;
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    const bool is_coming = resident.use_count > 0 && resident.state != Residency::warm;
    if (is_coming || resident.state == Residency::loading) bytes += resident.footprint;
  }
  return bytes;
}

Bytes expected_bytes(const Registry& registry, const ConsumerState& consumer) {
  return held_bytes(registry, consumer) + promised_bytes(registry, consumer);
}

namespace {

// A footprint includes the residue of its process. So residue that is left after an unload does not count in
// addition to the next load.
void update_unattributed(const ConsumerState& consumer, DeviceId device, DeviceUsage& usage) {
  const Bytes residue = device_part(consumer.spec, device, consumer.spec.residue);
  usage.unattributed = std::max(usage.measured - std::max(usage.attributed, residue), Bytes{});
}

// The warm residents whose size only the consumer's total tells: of unknown size, and not the one whose load
// is observed (registry/memory_learning.h). One that its service dropped keeps its room.
std::vector<ResidentId> residents_without_size(const Registry& registry, const ConsumerState& consumer,
                                               DeviceId device) {
  std::vector<ResidentId> found;
  for (const ResidentId id : consumer.residents) {
    const Resident& resident = registry[id];
    const bool is_observed = consumer.observed_load && consumer.observed_load->resident == id;
    if (resident.state == Residency::warm && !resident.was_dropped && is_size_unknown(resident) &&
        !is_observed && registry.readings[device.value].taken_at > resident.transition_at)
      found.push_back(id);
  }
  return found;
}

// What stays expected of a resident of which a reading shows only `shown`: its service may have dropped it,
// and loads it again inside a request.
Bytes kept_footprint(const ConsumerState& consumer, const Resident& resident, Bytes shown) {
  const bool is_used = resident.use_count > 0;
  const Bytes expected = expected_footprint(resident, consumer.spec.footprint_declaration);
  if (shown > Bytes{}) return is_used ? expected : Bytes{};
  return is_used ? std::max(expected, resident.footprint) : expected;
}

void divide_unexplained_bytes(Registry& registry, const ConsumerState& consumer, DeviceId device) {
  if (!consumer.spec.split.empty()) return;
  const std::vector<ResidentId> residents = residents_without_size(registry, consumer, device);
  if (residents.empty()) return;
  Bytes explained = held_bytes(registry, consumer);
  for (const ResidentId id : residents) explained -= registry[id].footprint;
  const Bytes unexplained = std::max(device_usage(consumer, device).measured - explained, Bytes{});
  const Bytes share{unexplained.count / static_cast<std::int64_t>(residents.size())};
  for (const ResidentId id : residents) {
    Resident& resident = registry[id];
    resident.footprint = std::max(share, kept_footprint(consumer, resident, share));
  }
}

}  // namespace

void attribute_measurement(Registry& registry, ConsumerState& consumer, DeviceId device) {
  DeviceUsage& usage = device_usage(consumer, device);
  if (has_resident_in(registry, consumer, Residency::loading)) {
    usage.unattributed = std::min(usage.unattributed, usage.measured);
    return;
  }
  divide_unexplained_bytes(registry, consumer, device);
  usage.attributed = device_part(consumer.spec, device, held_bytes(registry, consumer));
  update_unattributed(consumer, device, usage);
}

void release_attribution(const Registry& registry, ConsumerState& consumer, std::optional<Bytes> footprint) {
  const bool loads = has_resident_in(registry, consumer, Residency::loading);
  if (loads && !footprint) return;
  for (const DeviceId device : devices_of(consumer.spec)) {
    DeviceUsage& usage = device_usage(consumer, device);
    const Bytes evicted = footprint ? device_part(consumer.spec, device, *footprint) : usage.attributed;
    const Bytes at_most = usage.unattributed + evicted;
    usage.attributed = std::max(usage.attributed - evicted, Bytes{});
    update_unattributed(consumer, device, usage);
    if (loads) usage.unattributed = std::min(usage.unattributed, at_most);
  }
}

bool has_resident_in(const Registry& registry, const ConsumerState& consumer, Residency state) {
  return std::ranges::any_of(consumer.residents, [&](ResidentId id) { return registry[id].state == state; });
}

namespace {

// The consumer's committed memory on the device if its expected memory grows by `more`.
Bytes committed_after_growth(const Registry& registry, const ConsumerState& consumer, DeviceId device,
                             Bytes more) {
  const DeviceUsage& usage = device_usage(consumer, device);
  const Bytes part = device_part(consumer.spec, device, expected_bytes(registry, consumer) + more);
  return std::max(usage.measured, part + usage.unattributed);
}

}  // namespace

Bytes committed_bytes(const Registry& registry, const ConsumerState& consumer, DeviceId device) {
  return committed_after_growth(registry, consumer, device, Bytes{});
}

Bytes commitment_growth(const Registry& registry, const ConsumerState& consumer, DeviceId device,
                        Bytes more) {
  return committed_after_growth(registry, consumer, device, more) -
         committed_after_growth(registry, consumer, device, Bytes{});
}

std::optional<Duration> idle_limit(const Registry& registry, const Resident& resident) {
  const Consumer& spec = registry[resident.consumer].spec;
  constexpr Duration kForEver = Duration::max();
  const Duration configured = spec.idle_unload > Duration{0} ? spec.idle_unload : kForEver;
  const Duration bound = spec.max_keep_alive > Duration{0} ? spec.max_keep_alive : kForEver;
  Duration limit = configured;
  if (resident.keep_alive)
    limit = *resident.keep_alive < Duration{0} ? bound : std::min(*resident.keep_alive, bound);
  return limit == kForEver ? std::nullopt : std::optional(limit);
}

Bytes parked_bytes(const Registry& registry) {
  Bytes bytes{};
  for (const Resident& resident : registry.residents)
    if (resident.state == Residency::parked ||
        (resident.state == Residency::unloading && resident.leaves_host_memory))
      bytes += resident.footprint;
  return bytes;
}

Bytes committed_bytes(const Registry& registry, DeviceId device) {
  Bytes bytes = std::max(registry.bare_reserved[device.value], registry.readings[device.value].bare);
  for (const ConsumerState& consumer : registry.consumers)
    if (is_on_device(consumer.spec, device)) bytes += committed_bytes(registry, consumer, device);
  return bytes;
}

Bytes headroom(const Registry& registry, DeviceId device) {
  const Reading& reading = registry.readings[device.value];
  return reading.total - registry.devices[device.value].reserve - reading.foreign -
         committed_bytes(registry, device);
}

}  // namespace mgpu
