#include "registry/memory_learning.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace mgpu {
namespace {

constexpr Bytes kMinOutOfMemoryStep = kMiB * 256;  // each out-of-memory error raises the expectation by this

// What a service has loaded by itself is known about so much later at most.
constexpr Duration kMaxDiscoveryTime{5'000'000};

// Learned for a resident that shows no memory of its own: 0 would mean that nothing is known.
constexpr Bytes kMinLearned = kMiB;

// Totals of a consumer, of which each device has its part.
struct BytesRange {
  Bytes at_least{};
  Bytes at_most{};
};

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

// What its devices have beside everything else that they are committed to, other memory of its own consumer
// included.
Bytes max_total_beside_others(const Registry& registry, const Resident& resident) {
  const ConsumerState& consumer = registry[resident.consumer];
  const Bytes siblings = expected_bytes(registry, consumer) - resident.footprint;
  return max_total(consumer.spec, [&](DeviceId device) {
    return headroom(registry, device) + committed_bytes(registry, consumer, device) -
           device_part(consumer.spec, device, siblings) - device_usage(consumer, device).unattributed;
  });
}

// No more than fits its devices together with a job: otherwise no ticket of the consumer would be granted any
// more, and nothing would correct the figure.
Bytes capped(const Registry& registry, const ConsumerState& consumer, Bytes footprint) {
  const Bytes max_total = max_total_alone(registry, consumer.spec);
  if (max_total <= Bytes{}) return footprint;  // no reading yet
  return std::max(std::min(footprint, max_total - consumer.spec.working), kMinLearned);
}

// Lowers the expected working memory if it does not fit beside the footprint, for the same reason. Repeated
// out-of-memory errors may have raised it to all that the device has.
void cap_working_memory(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  const Bytes max_total = max_total_alone(registry, consumer.spec);
  const Bytes possible = max_total - resident.footprint;
  if (max_total <= Bytes{} || working_per_job(consumer) <= possible) return;
  const Bytes working = std::max(possible, consumer.spec.working);
  consumer.learned_working = std::min(consumer.learned_working, working);
  resident.costs.working = std::min(resident.costs.working, working);
}

void learn_working(Registry& registry, ResidentId id, Bytes per_job) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  if (per_job <= working_per_job(consumer)) return;
  resident.costs.working = consumer.learned_working = per_job;
}

void clear_observations(Resident& resident) {
  resident.idle_peak = resident.own_peak = resident.busy_bytes = Bytes{};
  resident.busy_jobs = 0;
  resident.measured_at = Instant{};
}

// No reading will show it alone. The size of one about which nothing is known is then that of what nothing
// else explains (attribute_measurement).
void end_provisional(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  if (!std::exchange(resident.is_provisional, false) || is_size_unknown(resident)) return;
  resident.footprint = expected_footprint(resident, registry[resident.consumer].spec.footprint_declaration);
}

// The resident whose bytes readings show now. An observation ends when another resident of the consumer has
// come or gone.
std::optional<ResidentId> observed_resident(Registry& registry, ConsumerState& consumer) {
  if (!consumer.observed_load) return std::nullopt;
  const ResidentId id = consumer.observed_load->resident;
  const Resident& resident = registry[id];
  if (holds_memory(resident) && !resident.leaves_host_memory &&
      residents_in_memory(registry, consumer, id) == consumer.observed_load->beside)
    return id;
  consumer.observed_load.reset();
  if (holds_memory(resident)) end_provisional(registry, id);  // else it may be prepared for its next load
  return std::nullopt;
}

// The most and the least that the observed resident holds, by the last reading of the device. Each device is
// considered alone: the last reading of another one may be older and include a job that has ended.
BytesRange own_bytes(const ConsumerState& consumer, DeviceId device) {
  const DeviceUsage& usage = device_usage(consumer, device);
  const Bytes jobs = device_part(consumer.spec, device, working_per_job(consumer) * usage.jobs);
  const auto total = [&](Bytes part) {
    return total_from_part(consumer.spec, device, std::max(part, Bytes{}));
  };
  return {.at_least = total(usage.measured - usage.earlier_at_most - jobs),
          .at_most = total(usage.measured - usage.earlier_at_least)};
}

// Whether its declaration is an upper limit, whatever readings show.
bool is_declared_maximum(const Resident& resident, FootprintDeclaration declaration) {
  return declaration == FootprintDeclaration::at_most && resident.declared_footprint > Bytes{};
}

// At least so many bytes are its own. More than expected is expected and kept from now on; but a part only is
// not kept as the size of one whose size is unknown.
void raise_footprint(Registry& registry, ResidentId id, Bytes bytes) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  const FootprintDeclaration declaration = consumer.spec.footprint_declaration;
  if (bytes <= Bytes{}) return;
  bytes = capped(registry, consumer, bytes);
  resident.own_peak = std::max(resident.own_peak, bytes);
  if (!is_size_unknown(resident) && bytes >= expected_footprint(resident, declaration) + kMinReportedGrowth)
    resident.costs.footprint = bytes;
  if (bytes <= resident.footprint || is_declared_maximum(resident, declaration)) return;
  resident.footprint = bytes;
  cap_working_memory(registry, id);
}

// Replaces a provisional footprint by what a reading after the load shows. With jobs it may contain their
// memory: rather too much than too little.
void settle_footprint(Registry& registry, ResidentId id, BytesRange own, bool is_idle, bool is_exact) {
  Resident& resident = registry[id];
  if (!resident.is_provisional) return;
  const ConsumerState& consumer = registry[resident.consumer];
  const Bytes most = capped(registry, consumer, std::max(own.at_most, resident.idle_peak));
  resident.costs.footprint = is_exact  ? most
                             : is_idle ? capped(registry, consumer, own.at_least)
                                       : std::max(most, resident.own_peak);
  resident.footprint = std::max(most, is_exact ? Bytes{} : resident.own_peak);
  resident.is_provisional = !is_exact;
}

bool was_seen_since_load(const Resident& resident) {
  return resident.own_peak > Bytes{} || resident.busy_bytes > Bytes{};
}

// A reading shows no bytes of it. It may take no device memory, or its service has dropped it, which a
// listing will tell: what was learned stays, and so does the room for its next bytes while it is used. Of a
// declared one it proves nothing at all: its process may be unknown to the driver.
void learn_absence(Resident& resident, Instant taken_at) {
  if (resident.declared_footprint > Bytes{}) return;
  if (!was_seen_since_load(resident)) resident.measured_at = taken_at;
  if (resident.is_provisional && resident.use_count == 0)
    resident.footprint = std::max(resident.costs.footprint, kMinLearned);
}

void learn_idle_reading(Registry& registry, ResidentId id, BytesRange own, Instant taken_at) {
  Resident& resident = registry[id];
  if (own.at_most == Bytes{}) return learn_absence(resident, taken_at);
  const bool is_exact = own.at_least == own.at_most;
  resident.idle_peak = std::max(resident.idle_peak, own.at_least);
  if (is_exact) resident.measured_at = taken_at;
  if (is_exact && resident.busy_jobs > 0) {  // now it is known how much of that was working memory
    const Bytes working = resident.busy_bytes - resident.idle_peak;
    learn_working(registry, id, {working.count / resident.busy_jobs});
    resident.busy_bytes = Bytes{}, resident.busy_jobs = 0;
  }
  settle_footprint(registry, id, own, true, is_exact);
  raise_footprint(registry, id, own.at_least);
}

void learn_busy_reading(Registry& registry, ResidentId id, BytesRange own, std::uint32_t jobs) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  const Bytes with_work = own.at_least + working_per_job(consumer) * jobs;
  const bool is_measured = (resident.measured_at > Instant{} && resident.idle_peak > Bytes{}) ||
                           (resident.costs.footprint > Bytes{} && !resident.is_provisional);
  if (is_measured) {
    if (!is_declared_maximum(resident, consumer.spec.footprint_declaration))
      learn_working(registry, id, {(with_work - resident.footprint).count / jobs});
    cap_working_memory(registry, id);
    return;
  }
  if (own.at_least == Bytes{}) return;  // perhaps memory of jobs only: its service may have dropped it
  if (with_work > resident.busy_bytes) resident.busy_bytes = with_work, resident.busy_jobs = jobs;
  settle_footprint(registry, id, own, false, false);
  if (own.at_least <= resident.footprint) return;
  raise_footprint(registry, id, own.at_least);
  resident.is_provisional = true;  // a part may be working memory
}

}  // namespace

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
  resident.ran_out_of_memory = false;
  registry[resident.consumer].learned_working = Bytes{};
  if (!holds_memory(resident)) resident.footprint = resident.declared_footprint;
}

void observe_load(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  ConsumerState& consumer = registry[resident.consumer];
  clear_observations(resident);
  resident.is_provisional |= is_size_unknown(resident);
  consumer.observed_load = {.resident = id, .beside = residents_in_memory(registry, consumer, id)};
  const bool is_alone = consumer.observed_load->beside.empty();
  for (const DeviceId device : devices_of(consumer.spec)) {
    DeviceUsage& usage = device_usage(consumer, device);
    const Bytes jobs = device_part(consumer.spec, device, working_per_job(consumer) * usage.jobs);
    // Unexplained bytes may disappear during the load. Residue counts as the resident's (Consumer::residue).
    usage.earlier_at_most = is_alone ? usage.unattributed : usage.measured;
    usage.earlier_at_least =
        is_alone ? Bytes{} : std::max(usage.measured - usage.unattributed - jobs, Bytes{});
  }
}

void observe_own_load(Registry& registry, ResidentId id) {
  ConsumerState& consumer = registry[registry[id].consumer];
  if (!residents_in_memory(registry, consumer, id).empty()) return observe_found(registry, id);
  observe_load(registry, id);
  if (!is_size_unknown(registry[id])) return;
  for (const DeviceId device : devices_of(consumer.spec))
    device_usage(consumer, device).earlier_at_most = Bytes{};
}

void distrust_siblings(Registry& registry, ResidentId id, Instant now) {
  ConsumerState& consumer = registry[registry[id].consumer];
  if (!consumer.observed_load || consumer.observed_load->resident == id) return;
  const ObservedLoad observed = *consumer.observed_load;
  consumer.observed_load.reset();
  Resident& sibling = registry[observed.resident];
  if (!holds_memory(sibling)) return;
  if (observed.changed_at > Instant{} && now <= observed.changed_at + kMaxDiscoveryTime) {
    sibling.costs.footprint = observed.footprint_before;
    sibling.costs.working = observed.working_before;
    consumer.learned_working = Bytes{};
    for (const ResidentId each : consumer.residents)
      consumer.learned_working = std::max(consumer.learned_working, registry[each].costs.working);
  }
  clear_observations(sibling);
  sibling.is_provisional = true;
  end_provisional(registry, observed.resident);
}

void observe_found(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  clear_observations(resident);
  end_provisional(registry, id);
  registry[resident.consumer].observed_load.reset();
}

std::optional<ResidentId> learn_measurement(Registry& registry, ConsumerState& consumer, DeviceId device,
                                            Instant taken_at, bool is_computed) {
  const auto id = observed_resident(registry, consumer);
  if (!id) return std::nullopt;
  Resident& resident = registry[*id];
  if (is_computed && !is_size_unknown(resident) && !resident.is_provisional) return std::nullopt;
  const LearnedCosts before = resident.costs;
  const BytesRange own = own_bytes(consumer, device);
  const std::uint32_t jobs = device_usage(consumer, device).jobs;
  if (resident.state != Residency::warm || resident.was_dropped || taken_at <= resident.transition_at) {
    // A part of it may not be there yet, or not any more.
    if (jobs == 0) resident.idle_peak = std::max(resident.idle_peak, own.at_least);
    raise_footprint(registry, *id, own.at_least);
  } else if (jobs == 0) {
    learn_idle_reading(registry, *id, own, taken_at);
  } else {
    learn_busy_reading(registry, *id, own, jobs);
  }
  if (resident.costs == before) return std::nullopt;
  ObservedLoad& observed = *consumer.observed_load;
  if (taken_at > observed.changed_at + kMaxDiscoveryTime)
    observed.footprint_before = before.footprint, observed.working_before = before.working;
  observed.changed_at = taken_at;
  return id;
}

void learn_freed(Registry& registry, ResidentId id, Bytes freed) {
  const ConsumerState& consumer = registry[registry[id].consumer];
  const bool was_observed = consumer.observed_load && consumer.observed_load->resident == id;
  if (was_observed || freed <= Bytes{}) return;
  Resident& resident = registry[id];
  if (is_size_unknown(resident)) resident.costs.footprint = std::max(freed, resident.footprint);
  raise_footprint(registry, id, freed);
}

void learn_departure(Registry& registry, ResidentId id, bool by_itself) {
  Resident& resident = registry[id];
  const ConsumerState& consumer = registry[resident.consumer];
  const bool is_absence = resident.idle_peak == Bytes{};
  const bool is_exact = resident.measured_at > resident.last_used && !(is_absence && by_itself);
  if (is_exact)
    resident.costs.footprint = capped(registry, consumer, resident.idle_peak);
  else if (!is_size_unknown(resident) &&
           resident.own_peak > expected_footprint(resident, consumer.spec.footprint_declaration))
    resident.costs.footprint = resident.own_peak;
  resident.is_provisional = false;
  resident.footprint = expected_footprint(resident, consumer.spec.footprint_declaration);
  clear_observations(resident);
  cap_working_memory(registry, id);
}

bool learn_report(Registry& registry, ResidentId id, Bytes bytes) {
  Resident& resident = registry[id];
  if (bytes <= Bytes{} || resident.costs.footprint > Bytes{}) return false;
  const ConsumerState& consumer = registry[resident.consumer];
  const bool was_unknown = is_size_unknown(resident);
  resident.costs.footprint = capped(registry, consumer, bytes);
  const Bytes expected = expected_footprint(resident, consumer.spec.footprint_declaration);
  const bool replaces = was_unknown || !holds_memory(resident);
  resident.footprint = replaces ? expected : std::max(resident.footprint, expected);
  cap_working_memory(registry, id);
  return true;
}

bool use_estimate(Registry& registry, ResidentId id, Bytes bytes) {
  Resident& resident = registry[id];
  if (bytes <= Bytes{} || !is_size_unknown(resident)) return false;
  resident.declared_footprint = capped(registry, registry[resident.consumer], bytes);
  if (!holds_memory(resident) && !resident.is_provisional) resident.footprint = resident.declared_footprint;
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
  const Bytes raised =
      std::max(resident.footprint, max_total_beside_others(registry, resident)) + kMinOutOfMemoryStep;
  const Bytes footprint =
      std::min(raised, max_total_alone(registry, consumer.spec) - working_per_job(consumer));
  resident.ran_out_of_memory = true;
  if (footprint <= resident.footprint) return false;
  resident.footprint = footprint;
  resident.costs.footprint = std::max(resident.costs.footprint, footprint);
  resident.is_provisional = true;
  return true;
}

void drop_provisional_footprint(Registry& registry, ResidentId id) {
  Resident& resident = registry[id];
  if (!resident.is_provisional || holds_memory(resident)) return;
  resident.is_provisional = false;
  resident.footprint = expected_footprint(resident, registry[resident.consumer].spec.footprint_declaration);
}

}  // namespace mgpu
