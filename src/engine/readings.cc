#include "engine/readings.h"

#include <algorithm>
#include <optional>

namespace mgpu::engine {
namespace {

// What a consumer, or the bare leases together, had by the last reading, and what may become of it.
struct Share {
  std::optional<ConsumerId> consumer{};  // none: the bare leases
  Bytes bytes{};
  Bytes expected{};
  bool arriving = false;  // loads, or has loaded since the last reading
  bool leaving = false;
  bool running = false;
  bool unseen = false;  // is there, and was not seen to come: so far it passes for foreign
};

std::vector<Share> shares_of(const World& world, DeviceId device, const Arrivals& arrivals) {
  const Registry& registry = world.registry;
  const Reading& before = registry.readings[device.value];
  std::vector<Share> shares;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerState& consumer = registry.consumers[i];
    if (!is_on_device(consumer.spec, device)) continue;
    const Bytes measured = device_usage(consumer, device).measured;
    const Arrival came = i < arrivals.size() ? arrivals[i] : Arrival{};
    const bool arriving =
        has_resident_in(registry, consumer, Residency::loading) || came.loaded > before.taken_at;
    const bool found = came.found_warm > before.taken_at || measured == Bytes{};
    shares.push_back({.consumer = ConsumerId{i},
                      .bytes = measured,
                      .expected = device_part(consumer.spec, device, expected_bytes(registry, consumer)),
                      .arriving = arriving,
                      .leaving = has_resident_in(registry, consumer, Residency::unloading),
                      .running = consumer.running_leases > 0,
                      .unseen = !arriving && found && has_resident_in(registry, consumer, Residency::warm)});
  }
  const Bytes reserved = registry.bare_reserved[device.value];
  shares.push_back({.bytes = before.bare, .expected = reserved, .running = reserved > Bytes{}});
  return shares;
}

Bytes sum_of(const std::vector<Share>& shares) {
  Bytes sum;
  for (const Share& share : shares) sum += share.bytes;
  return sum;
}

// Moves up to `most` bytes of `from` to `to`.
void move_bytes(Bytes& from, Bytes& to, Bytes most) {
  const Bytes moved = std::max(Bytes{}, std::min(from, most));
  from -= moved;
  to += moved;
}

// What came since the last reading: whoever loads has it; then whoever runs, up to what it may hold.
void share_out(Bytes come, std::vector<Share>& shares, Bytes& foreign) {
  for (Share& share : shares)
    if (share.arriving) move_bytes(come, share.bytes, come);
  for (Share& share : shares)
    if (share.running) move_bytes(come, share.bytes, share.expected - share.bytes);
  foreign += come;
}

// What went: it was of who leaves; then of who has more than it should (its work ended, it is dying); then
// foreign.
void take_away(Bytes gone, std::vector<Share>& shares, Bytes& foreign) {
  Bytes away;
  const auto take = [&](Bytes& from, Bytes most) {
    const Bytes taken = std::min(gone, std::max(Bytes{}, most));
    move_bytes(from, away, taken);
    gone -= taken;
  };
  for (Share& share : shares)
    if (share.leaving) take(share.bytes, share.bytes);
  for (Share& share : shares) take(share.bytes, share.bytes - share.expected);
  take(foreign, foreign);
  for (Share& share : shares) take(share.bytes, share.bytes);
}

// By totals before and after.
void reckon(Reading& reading, const World& world, Bytes used, const Arrivals& arrivals) {
  const Reading& before = world.registry.readings[reading.device.value];
  std::vector<Share> shares = shares_of(world, reading.device, arrivals);
  reading.foreign = before.foreign;
  const Bytes change = used - sum_of(shares) - reading.foreign;
  if (change > Bytes{}) share_out(change, shares, reading.foreign);
  if (change < Bytes{}) take_away(Bytes{} - change, shares, reading.foreign);
  for (Share& share : shares)
    if (share.unseen) move_bytes(reading.foreign, share.bytes, share.expected - share.bytes);

  for (const Share& share : shares) {
    if (!share.consumer)
      reading.bare = share.bytes;
    else if (share.bytes > Bytes{})
      reading.consumers.push_back({*share.consumer, share.bytes});
  }
}

struct Ours {
  Bytes held{};      // should be there by now
  Bytes measured{};  // was there by the last reading
};

Ours ours_on(const World& world, DeviceId device) {
  const Registry& registry = world.registry;
  Ours ours{.held = registry.bare_reserved[device.value], .measured = registry.readings[device.value].bare};
  for (const ConsumerState& consumer : registry.consumers) {
    if (!is_on_device(consumer.spec, device)) continue;
    ours.held += device_part(consumer.spec, device, held_bytes(registry, consumer));
    ours.measured += device_usage(consumer, device).measured;
  }
  return ours;
}

}  // namespace

bool tells_by_process(const World& world, DeviceId device, const gpu::RawReading& raw,
                      const gpu::Attribution& attributed, bool listed_somebody) {
  if (!attributed.by_process) return false;
  if (!attributed.consumers.empty() || !attributed.leases.empty()) return true;
  const Ours ours = ours_on(world, device);
  const bool told_before = world.registry.readings[device.value].is_per_process;
  if (!told_before) return expected_on(world, device) == Bytes{} && ours.measured == Bytes{};
  if (listed_somebody) return true;
  if (world.lines[device.value].loading) return false;
  // Nobody is listed, and what we hold has come all the same: half of it will do, since footprints are
  // guesses.
  const bool came_unlisted = ours.held > Bytes{} && raw.used * 2 >= ours.held;
  return !came_unlisted;
}

Reading reading_of(const World& world, DeviceId device, Instant taken, const gpu::RawReading& raw,
                   const gpu::Attribution& attributed, bool by_process, const Arrivals& arrivals) {
  Reading reading{.device = device,
                  .taken_at = taken,
                  .total = raw.total - raw.driver_reserved,
                  .foreign = attributed.foreign,
                  .is_per_process = by_process};
  if (!by_process) {
    reckon(reading, world, raw.used, arrivals);
    return reading;
  }
  for (const auto& [lease, bytes] : attributed.leases) reading.bare += bytes;
  for (const auto& [consumer, bytes] : attributed.consumers) reading.consumers.push_back({consumer, bytes});
  return reading;
}

Bytes expected_on(const World& world, DeviceId device) {
  Bytes sum = world.registry.bare_reserved[device.value];
  for (const ConsumerState& consumer : world.registry.consumers)
    sum += device_part(consumer.spec, device, expected_bytes(world.registry, consumer));
  return sum;
}

}  // namespace mgpu::engine
