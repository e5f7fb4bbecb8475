#include "engine/readings.h"

#include <algorithm>
#include <optional>

namespace mgpu::engine {
namespace {

// The memory of one consumer, or of all bare leases together, in the last reading, and how it may change.
struct MemoryShare {
  std::optional<ConsumerId> consumer{};  // none: the bare leases
  Bytes bytes{};
  Bytes expected{};
  bool loading = false;  // loads now, or has loaded since the last reading
  bool unloading = false;
  bool running = false;
  bool counted_as_foreign = false;  // was present before it was known: its memory is still counted as foreign
};

std::vector<MemoryShare> memory_shares(const World& world, DeviceId device, const LastLoads& last_loads) {
  const Registry& registry = world.registry;
  const Reading& before = registry.readings[device.value];
  std::vector<MemoryShare> shares;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerState& consumer = registry.consumers[i];
    if (!is_on_device(consumer.spec, device)) continue;
    const Bytes measured = device_usage(consumer, device).measured;
    const LastLoad last_load = i < last_loads.size() ? last_loads[i] : LastLoad{};
    const bool loading =
        has_resident_in(registry, consumer, Residency::loading) || last_load.loaded_at > before.taken_at;
    const bool found = last_load.found_warm_at > before.taken_at || measured == Bytes{};
    shares.push_back(
        {.consumer = ConsumerId{i},
         .bytes = measured,
         .expected = device_part(consumer.spec, device, expected_bytes(registry, consumer)),
         .loading = loading,
         .unloading = has_resident_in(registry, consumer, Residency::unloading),
         .running = consumer.running_leases > 0,
         .counted_as_foreign = !loading && found && has_resident_in(registry, consumer, Residency::warm)});
  }
  const Bytes reserved = registry.bare_reserved[device.value];
  shares.push_back({.bytes = before.bare, .expected = reserved, .running = reserved > Bytes{}});
  return shares;
}

Bytes total_bytes(const std::vector<MemoryShare>& shares) {
  Bytes sum;
  for (const MemoryShare& share : shares) sum += share.bytes;
  return sum;
}

// Moves up to `most` bytes of `from` to `to`.
void move_bytes(Bytes& from, Bytes& to, Bytes most) {
  const Bytes moved = std::max(Bytes{}, std::min(from, most));
  from -= moved;
  to += moved;
}

// Attributes new bytes to consumers that load; then to those that run, up to their expected size; the rest to
// foreign.
void distribute_growth(Bytes growth, std::vector<MemoryShare>& shares, Bytes& foreign) {
  for (MemoryShare& share : shares)
    if (share.loading) move_bytes(growth, share.bytes, growth);
  for (MemoryShare& share : shares)
    if (share.running) move_bytes(growth, share.bytes, share.expected - share.bytes);
  foreign += growth;
}

// Takes released bytes from consumers that unload; then from those above their expected size (their work
// ended, their process is ending); then from foreign; then from all others.
void distribute_shrink(Bytes shrink, std::vector<MemoryShare>& shares, Bytes& foreign) {
  Bytes freed;
  const auto take = [&](Bytes& from, Bytes most) {
    const Bytes taken = std::min(shrink, std::max(Bytes{}, most));
    move_bytes(from, freed, taken);
    shrink -= taken;
  };
  for (MemoryShare& share : shares)
    if (share.unloading) take(share.bytes, share.bytes);
  for (MemoryShare& share : shares) take(share.bytes, share.bytes - share.expected);
  take(foreign, foreign);
  for (MemoryShare& share : shares) take(share.bytes, share.bytes);
}

// Attributes by the difference of two totals.
void attribute_by_totals(Reading& reading, const World& world, Bytes used, const LastLoads& last_loads) {
  const Reading& before = world.registry.readings[reading.device.value];
  std::vector<MemoryShare> shares = memory_shares(world, reading.device, last_loads);
  reading.foreign = before.foreign;
  const Bytes change = used - total_bytes(shares) - reading.foreign;
  if (change > Bytes{}) distribute_growth(change, shares, reading.foreign);
  if (change < Bytes{}) distribute_shrink(Bytes{} - change, shares, reading.foreign);
  for (MemoryShare& share : shares)
    if (share.counted_as_foreign) move_bytes(reading.foreign, share.bytes, share.expected - share.bytes);

  for (const MemoryShare& share : shares) {
    if (!share.consumer)
      reading.bare = share.bytes;
    else if (share.bytes > Bytes{})
      reading.consumers.push_back({*share.consumer, share.bytes});
  }
}

struct OwnMemory {
  Bytes held{};      // expected to be present by now
  Bytes measured{};  // present in the last reading
};

OwnMemory own_memory(const World& world, DeviceId device) {
  const Registry& registry = world.registry;
  OwnMemory own{.held = registry.bare_reserved[device.value],
                .measured = registry.readings[device.value].bare};
  for (const ConsumerState& consumer : registry.consumers) {
    if (!is_on_device(consumer.spec, device)) continue;
    own.held += device_part(consumer.spec, device, held_bytes(registry, consumer));
    own.measured += device_usage(consumer, device).measured;
  }
  return own;
}

}  // namespace

bool can_attribute_by_process(const World& world, DeviceId device, const gpu::RawReading& raw,
                              const gpu::Attribution& attributed, bool listed_processes) {
  if (!attributed.by_process) return false;
  if (!attributed.consumers.empty() || !attributed.leases.empty()) return true;
  const OwnMemory own = own_memory(world, device);
  const bool was_by_process = world.registry.readings[device.value].is_per_process;
  if (!was_by_process) return total_expected_bytes(world, device) == Bytes{} && own.measured == Bytes{};
  if (listed_processes) return true;
  if (world.lines[device.value].loading) return false;
  // No process is listed, but memory that the daemon expects has arrived. Half of the expected size is enough
  // evidence, since footprints are estimates.
  const bool arrived_unlisted = own.held > Bytes{} && raw.used * 2 >= own.held;
  return !arrived_unlisted;
}

Reading make_reading(const World& world, DeviceId device, Instant taken, const gpu::RawReading& raw,
                     const gpu::Attribution& attributed, bool by_process, const LastLoads& last_loads) {
  Reading reading{.device = device,
                  .taken_at = taken,
                  .total = raw.total - raw.driver_reserved,
                  .foreign = attributed.foreign,
                  .is_per_process = by_process};
  if (!by_process) {
    attribute_by_totals(reading, world, raw.used, last_loads);
    return reading;
  }
  for (const auto& [lease, bytes] : attributed.leases) reading.bare += bytes;
  for (const auto& [consumer, bytes] : attributed.consumers) reading.consumers.push_back({consumer, bytes});
  return reading;
}

Bytes total_expected_bytes(const World& world, DeviceId device) {
  Bytes sum = world.registry.bare_reserved[device.value];
  for (const ConsumerState& consumer : world.registry.consumers)
    sum += device_part(consumer.spec, device, expected_bytes(world.registry, consumer));
  return sum;
}

}  // namespace mgpu::engine
