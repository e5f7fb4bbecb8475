#include "registry/learning.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace mgpu {
namespace {

constexpr int kMemoryOfRuns = 8;  // a new figure counts one part in so many
constexpr std::uint16_t kHourFull = 1'000;
constexpr Bytes kStep = kMiB * 256;  // what an out-of-memory error adds at least

void blend(Duration& learned, Duration seen) {
  learned = learned == Duration{0} ? seen : learned + (seen - learned) / kMemoryOfRuns;
}

// Loads are seldom, and the machine changes more than they do: the latest counts half.
void follow(Duration& learned, Duration seen) {
  seen = std::max(seen, Duration{1});
  learned = learned == Duration{0} ? seen : (learned + seen) / 2;
}

std::optional<ResidentId> only_one_there(const Registry& registry, const ConsumerState& consumer) {
  std::optional<ResidentId> only;
  for (const ResidentId id : consumer.residents) {
    if (!holds_memory(registry[id])) continue;
    if (only) return std::nullopt;
    only = id;
  }
  return only;
}

// How much its whole must be counted as, so that its part on the device covers what is measured there. What
// is known of its other devices may be older, and show a job that has ended since: each speaks for itself.
Bytes whole_as_measured(const ConsumerState& consumer, DeviceId device) {
  return whole_of(consumer.spec, device, holding_on(consumer, device).measured);
}

// What it could take in all, if each of its devices had so much for it.
template <class BytesOn>
Bytes most_of(const Consumer& consumer, BytesOn bytes_on) {
  Bytes most{std::numeric_limits<std::int64_t>::max()};
  for (const DeviceId device : devices_of(consumer))
    most = std::min(most, whole_of(consumer, device, bytes_on(device)));
  return most;
}

// If nobody else were there.
Bytes most_that_fits(const Registry& registry, const Consumer& consumer) {
  return most_of(consumer, [&](DeviceId device) {
    return registry.readings[device.value].total - registry.devices[device.value].reserve;
  });
}

// Beside all others.
Bytes room_it_has(const Registry& registry, const ConsumerState& consumer) {
  return most_of(consumer.spec, [&](DeviceId device) {
    return headroom(registry, device) + committed(registry, consumer, device);
  });
}

// What a job adds was guessed up to all that the device has, where its service said often enough that memory
// ran out. The guess gives way to a footprint that was seen: together they must stay possible, or nobody
// could ever be served again, and nothing would ever teach otherwise.
void give_way_to_footprint(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  const Bytes most = most_that_fits(registry, consumer.spec);
  const Bytes possible = most - resident.footprint;
  if (most <= Bytes{} || working_each(consumer) <= possible) return;  // without a reading nothing is known
  const Bytes working = std::max(possible, consumer.spec.working);
  consumer.learned_working = std::min(consumer.learned_working, working);
  resident.costs.working = std::min(resident.costs.working, working);
}

}  // namespace

Bytes footprint_to_expect(const Resident& resident, FootprintDeclaration declared) {
  const Bytes learned = resident.costs.footprint;
  if (learned == Bytes{}) return resident.declared_footprint;
  switch (declared) {
    case FootprintDeclaration::at_least:
      return std::max(resident.declared_footprint, learned);
    case FootprintDeclaration::at_most:
      return resident.declared_footprint > Bytes{} ? std::min(resident.declared_footprint, learned) : learned;
    case FootprintDeclaration::guess:
      break;
  }
  return learned;
}

void recall(Registry& registry, ResidentId id, const LearnedCosts& learned) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  resident.costs = learned;
  resident.footprint = footprint_to_expect(resident, consumer.spec.footprint_declaration);
  consumer.learned_working = std::max(consumer.learned_working, learned.working);
}

void forget_learned(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  resident.costs = {};
  registry[resident.consumer].learned_working = Bytes{};
  if (!holds_memory(resident)) resident.footprint = resident.declared_footprint;
}

void learn_load_began(Registry& registry, ResidentId id, Instant now) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  resident.transition_at = now;
  resident.idle_peak = Bytes{};
  resident.measured_after_load = false;
  resident.is_attributable = unexplained(consumer) == Bytes{} && only_one_there(registry, consumer) == id;
}

void learn_load_ended(Registry& registry, ResidentId id, Instant now, LoadSource source) {
  Resident& resident = registry[id];
  LearnedCosts& learned = resident.costs;
  Duration& figure = source == LoadSource::parked   ? learned.load_parked
                     : source == LoadSource::cached ? learned.load_cached
                                                    : learned.load_cold;
  follow(figure, now - resident.transition_at);
  resident.transition_at = now;
  ++learned.loads;
}

void learn_left(Registry& registry, ResidentId id, Instant now, Rung rung) {
  Resident& resident = registry[id];
  follow(rung == Rung::park ? resident.costs.park : resident.costs.unload, now - resident.transition_at);
  if (resident.is_attributable && resident.measured_after_load) resident.costs.footprint = resident.idle_peak;
  resident.is_attributable = false;
  resident.footprint = footprint_to_expect(resident, registry[resident.consumer].spec.footprint_declaration);
  give_way_to_footprint(registry, id);
}

void learn_run(Registry& registry, ResidentId id, Duration ran, std::uint8_t hour) {
  LearnedCosts& learned = registry[id].costs;
  blend(learned.run, ran);
  ++learned.runs;
  if (++learned.runs_by_hour[hour % 24] < kHourFull) return;
  for (std::uint16_t& count : learned.runs_by_hour) count = static_cast<std::uint16_t>(count / 2);
}

bool learn_measured(Registry& registry, ConsumerState& consumer, DeviceId device, Instant taken) {
  const auto only = only_one_there(registry, consumer);
  if (!only) return false;
  Resident& resident = registry[*only];
  if (resident.state == Residency::unloading || !resident.is_attributable) return false;
  const Bytes measured = whole_as_measured(consumer, device);
  const bool capped = consumer.spec.footprint_declaration == FootprintDeclaration::at_most;
  if (consumer.running == 0) {
    resident.idle_peak = std::max(resident.idle_peak, measured);
    if (resident.state == Residency::warm && taken > resident.transition_at && measured > Bytes{})
      resident.measured_after_load = true;
    if (measured <= resident.footprint || capped) return false;
    resident.footprint = measured;
    give_way_to_footprint(registry, *only);
    return true;
  }
  const Bytes above = measured - resident.footprint;
  const Bytes each{above.count / consumer.running};
  if (resident.state != Residency::warm || capped || each <= working_each(consumer)) return false;
  resident.costs.working = consumer.learned_working = each;
  return true;
}

bool learn_out_of_memory(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  const Bytes before = working_each(consumer);
  const Bytes more = std::max(kStep, Bytes{resident.footprint.count / 8});
  const Bytes working = std::min(before + more, most_that_fits(registry, consumer.spec) - resident.footprint);
  if (working <= before) return false;
  resident.costs.working = consumer.learned_working = working;
  return true;
}

bool learn_load_ran_out(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  const Bytes working = working_each(consumer);
  const Bytes more = std::max(resident.footprint, room_it_has(registry, consumer) - working) + kStep;
  const Bytes footprint = std::min(more, most_that_fits(registry, consumer.spec) - working);
  if (footprint <= resident.footprint) return false;
  resident.footprint = footprint;
  return true;
}

}  // namespace mgpu
