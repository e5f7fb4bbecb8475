#include "registry/cost_learning.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace mgpu {
namespace {

constexpr int kRunSmoothing = 8;  // a new sample has the weight 1/8 in the moving average
constexpr std::uint16_t kMaxHourCount = 1'000;
constexpr Bytes kMinOutOfMemoryStep = kMiB * 256;  // each out-of-memory error raises the expectation by this

void update_moving_average(Duration& average, Duration sample) {
  average = average == Duration{0} ? sample : average + (sample - average) / kRunSmoothing;
}

// Loads are rare and conditions change between them, so the latest sample has the weight 1/2.
void average_with_latest(Duration& average, Duration sample) {
  sample = std::max(sample, Duration{1});
  average = average == Duration{0} ? sample : (average + sample) / 2;
}

std::optional<ResidentId> only_resident_in_memory(const Registry& registry, const ConsumerState& consumer) {
  std::optional<ResidentId> only;
  for (const ResidentId id : consumer.residents) {
    if (!holds_memory(registry[id])) continue;
    if (only) return std::nullopt;
    only = id;
  }
  return only;
}

// The total of a consumer's memory for which its part on the device covers the bytes measured there. Each
// device is considered alone: the last reading of another one may be older and include a job that has ended.
Bytes total_from_measurement(const ConsumerState& consumer, DeviceId device) {
  return total_from_part(consumer.spec, device, device_usage(consumer, device).measured);
}

// The largest total for which the part on each of the consumer's devices is at most bytes_on(device).
template <class BytesOn>
Bytes max_total(const Consumer& consumer, BytesOn bytes_on) {
  Bytes total{std::numeric_limits<std::int64_t>::max()};
  for (const DeviceId device : devices_of(consumer))
    total = std::min(total, total_from_part(consumer, device, bytes_on(device)));
  return total;
}

// With nothing else on its devices.
Bytes max_total_alone(const Registry& registry, const Consumer& consumer) {
  return max_total(consumer, [&](DeviceId device) {
    return registry.readings[device.value].total - registry.devices[device.value].reserve;
  });
}

// With everything else that its devices are committed to.
Bytes max_total_beside_others(const Registry& registry, const ConsumerState& consumer) {
  return max_total(consumer.spec, [&](DeviceId device) {
    return headroom(registry, device) + committed_bytes(registry, consumer, device);
  });
}

// Lowers the expected working memory if it does not fit beside the measured footprint. Repeated out-of-memory
// errors may have raised it to all that the device has. Footprint and working memory together must fit the
// device: otherwise no ticket of the consumer would ever be granted, and nothing would correct the figure.
void cap_working_memory(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  const Bytes max_total = max_total_alone(registry, consumer.spec);
  const Bytes possible = max_total - resident.footprint;
  if (max_total <= Bytes{} || working_per_job(consumer) <= possible) return;  // max_total 0: no reading yet
  const Bytes working = std::max(possible, consumer.spec.working);
  consumer.learned_working = std::min(consumer.learned_working, working);
  resident.costs.working = std::min(resident.costs.working, working);
}

}  // namespace

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

void restore_learned_costs(Registry& registry, ResidentId id, const LearnedCosts& costs) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  resident.costs = costs;
  resident.footprint = expected_footprint(resident, consumer.spec.footprint_declaration);
  consumer.learned_working = std::max(consumer.learned_working, costs.working);
}

void reset_learned_costs(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  resident.costs = {};
  registry[resident.consumer].learned_working = Bytes{};
  if (!holds_memory(resident)) resident.footprint = resident.declared_footprint;
}

void learn_load_start(Registry& registry, ResidentId id, Instant now) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  resident.transition_at = now;
  resident.idle_peak = Bytes{};
  resident.measured_after_load = false;
  resident.is_attributable =
      unattributed_bytes(consumer) == Bytes{} && only_resident_in_memory(registry, consumer) == id;
}

void learn_load_end(Registry& registry, ResidentId id, Instant now, LoadSource source) {
  Resident& resident = registry[id];
  LearnedCosts& learned = resident.costs;
  Duration& average = source == LoadSource::parked   ? learned.load_parked
                      : source == LoadSource::cached ? learned.load_cached
                                                     : learned.load_cold;
  average_with_latest(average, now - resident.transition_at);
  resident.transition_at = now;
  ++learned.loads;
}

void learn_eviction(Registry& registry, ResidentId id, Instant now, Rung rung) {
  Resident& resident = registry[id];
  average_with_latest(rung == Rung::park ? resident.costs.park : resident.costs.unload,
                      now - resident.transition_at);
  if (resident.is_attributable && resident.measured_after_load) resident.costs.footprint = resident.idle_peak;
  resident.is_attributable = false;
  resident.footprint = expected_footprint(resident, registry[resident.consumer].spec.footprint_declaration);
  cap_working_memory(registry, id);
}

void learn_run(Registry& registry, ResidentId id, Duration run, std::uint8_t hour) {
  LearnedCosts& learned = registry[id].costs;
  update_moving_average(learned.run, run);
  ++learned.runs;
  if (++learned.runs_by_hour[hour % 24] < kMaxHourCount) return;
  for (std::uint16_t& count : learned.runs_by_hour) count = static_cast<std::uint16_t>(count / 2);
}

bool learn_measurement(Registry& registry, ConsumerState& consumer, DeviceId device, Instant taken_at) {
  const auto only = only_resident_in_memory(registry, consumer);
  if (!only) return false;
  Resident& resident = registry[*only];
  if (resident.state == Residency::unloading || !resident.is_attributable) return false;
  const Bytes measured = total_from_measurement(consumer, device);
  const bool is_capped = consumer.spec.footprint_declaration == FootprintDeclaration::at_most;
  if (consumer.running_leases == 0) {
    resident.idle_peak = std::max(resident.idle_peak, measured);
    if (resident.state == Residency::warm && taken_at > resident.transition_at && measured > Bytes{})
      resident.measured_after_load = true;
    if (measured <= resident.footprint || is_capped) return false;
    resident.footprint = measured;
    cap_working_memory(registry, *only);
    return true;
  }
  const Bytes excess = measured - resident.footprint;
  const Bytes excess_per_job{excess.count / consumer.running_leases};
  if (resident.state != Residency::warm || is_capped || excess_per_job <= working_per_job(consumer))
    return false;
  resident.costs.working = consumer.learned_working = excess_per_job;
  return true;
}

bool learn_out_of_memory(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  const Bytes working_before = working_per_job(consumer);
  const Bytes increase = std::max(kMinOutOfMemoryStep, Bytes{resident.footprint.count / 8});
  const Bytes working =
      std::min(working_before + increase, max_total_alone(registry, consumer.spec) - resident.footprint);
  if (working <= working_before) return false;
  resident.costs.working = consumer.learned_working = working;
  return true;
}

bool learn_load_out_of_memory(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  const Bytes working = working_per_job(consumer);
  const Bytes raised = std::max(resident.footprint, max_total_beside_others(registry, consumer) - working) +
                       kMinOutOfMemoryStep;
  const Bytes footprint = std::min(raised, max_total_alone(registry, consumer.spec) - working);
  if (footprint <= resident.footprint) return false;
  resident.footprint = footprint;
  return true;
}

}  // namespace mgpu
