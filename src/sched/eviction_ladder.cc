#include "sched/eviction_ladder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "domain/enum_names.h"
#include "plan/victim_selection.h"
#include "registry/cost_learning.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

bool is_resident_on(const World& world, ResidentId id, DeviceId device) {
  return is_on_device(world.registry[world.registry[id].consumer].spec, device);
}

// A driver that does not answer must not keep what is to be evicted.
constexpr Duration kReadingWait{1'000'000};

bool ends_process(Rung rung) { return rung == Rung::stop || rung == Rung::kill; }

bool are_siblings_idle(const Registry& registry, const ConsumerState& consumer) {
  return std::ranges::none_of(consumer.residents, [&](ResidentId id) {
    return registry[id].use_count > 0 || registry[id].state == Residency::loading;
  });
}

std::optional<Rung> following_rung(const Registry& registry, const ConsumerState& consumer, Rung rung) {
  if (rung == Rung::kill) return std::nullopt;
  if (rung == Rung::stop) return Rung::kill;
  if (rung == Rung::park && consumer.spec.can_unload) return Rung::service;
  if (consumer.spec.can_stop && are_siblings_idle(registry, consumer)) return Rung::stop;
  return std::nullopt;
}

void take_rung(World& world, Effects& out, Eviction& eviction, Rung rung) {
  Registry& registry = world.registry;
  const ConsumerState& consumer = registry[registry[eviction.resident].consumer];
  if (ends_process(rung)) {  // all residents of the process become part of this eviction
    for (const ResidentId sibling : consumer.residents) {
      Resident& sibling_resident = registry[sibling];
      const bool parked = sibling_resident.state == Residency::parked;
      if (parked || sibling_resident.state == Residency::warm || sibling_resident.loads_by_itself) {
        sibling_resident.state = Residency::unloading;
        sibling_resident.leaves_host_memory = parked;
        sibling_resident.loads_by_itself = sibling_resident.was_dropped = false;
      }
      if (sibling != eviction.resident) world.evictions.erase(sibling);
    }
  }
  eviction.rung = rung;
  eviction.is_answered = false;
  eviction.rung_deadline = world.now + consumer.spec.stop_limit;
  eviction.before_bytes = measured_bytes(consumer);
  eviction.idle_bytes_before =
      eviction.before_bytes - working_per_job(consumer) * consumer.primary_usage.jobs;
  eviction.unattributed_before = unattributed_bytes(consumer);
  eviction.beside = residents_in_memory(registry, consumer, eviction.resident);
  out.emplace_back(Evict{.resident = eviction.resident, .rung = rung});
}

// What the consumer may still hold when this resident's eviction counts as done: the expectation of its other
// residents, and the residue of its process. At least a quarter of the footprint is tolerated, because
// applications do not return every byte; it stays committed, because it is measured. So is what was
// unexplained before: the other residents may hold more than expected.
Bytes allowed_remainder(const Registry& registry, const Eviction& eviction) {
  const Resident& resident = registry[eviction.resident];
  const ConsumerState& consumer = registry[resident.consumer];
  if (ends_process(eviction.rung)) return Bytes{};
  const Bytes quarter{resident.footprint.count / 4};
  const Bytes unexplained = eviction.beside.empty() ? Bytes{} : eviction.unattributed_before;
  const Bytes evicted = resident.leaves_host_memory ? Bytes{} : resident.footprint;
  return held_bytes(registry, consumer) - evicted + std::max({consumer.spec.residue, quarter, unexplained});
}

bool is_memory_free(const World& world, const Eviction& eviction) {
  const ConsumerState& consumer = world.registry[world.registry[eviction.resident].consumer];
  const Bytes remainder = allowed_remainder(world.registry, eviction);
  return eviction.is_answered && std::ranges::all_of(devices_of(consumer.spec), [&](DeviceId device) {
           const Reading& reading = world.registry.readings[device.value];
           return !reading.lost && reading.taken_at > eviction.answered_at &&
                  device_usage(consumer, device).measured <= device_part(consumer.spec, device, remainder);
         });
}

// The process has ended: the other residents that were evicted with it are cold.
void mark_siblings_cold(World& world, const ConsumerState& consumer) {
  for (const ResidentId sibling : consumer.residents)
    if (world.registry[sibling].state == Residency::unloading)
      world.registry[sibling].state = Residency::cold;
}

void release_evicted_bytes(Registry& registry, const Eviction& eviction) {
  ConsumerState& consumer = registry[registry[eviction.resident].consumer];
  const Resident& resident = registry[eviction.resident];
  if (ends_process(eviction.rung)) return release_attribution(registry, consumer, std::nullopt);
  release_attribution(registry, consumer, resident.leaves_host_memory ? Bytes{} : resident.footprint);
}

// What at least came free with this resident alone; 0 if something else of its consumer has come or gone
// since.
Bytes freed_bytes(const Registry& registry, const Eviction& eviction) {
  const ConsumerState& consumer = registry[registry[eviction.resident].consumer];
  const bool is_alone =
      residents_in_memory(registry, consumer, eviction.resident) == eviction.beside &&
      (eviction.beside.empty() ||
       (!ends_process(eviction.rung) && std::ranges::none_of(eviction.beside, [&](ResidentId id) {
         return registry[id].state == Residency::unloading;
       })));
  return is_alone && consumer.spec.split.empty() ? eviction.idle_bytes_before - measured_bytes(consumer)
                                                 : Bytes{};
}

enum class HostMemoryRoom : std::uint8_t { available, pending, none };

// Makes room for `needed` bytes in host memory by evicting the least valuable parked residents. Without
// configured park_memory only operators park, and then there is no limit.
HostMemoryRoom make_host_memory_room(World& world, Effects& out, Bytes needed) {
  Registry& registry = world.registry;
  if (registry.park_memory == Bytes{}) return HostMemoryRoom::available;
  Bytes used = parked_bytes(registry);
  Bytes coming_free{};
  for (const auto& [id, eviction] : world.evictions) {
    if (registry[id].leaves_host_memory) coming_free += registry[id].footprint;
    if (eviction.rung == Rung::park && !eviction.awaits_host_memory) used += registry[id].footprint;
  }
  if (used + needed <= registry.park_memory) return HostMemoryRoom::available;
  const Bytes deficit = used + needed - coming_free - registry.park_memory;
  if (deficit <= Bytes{}) return HostMemoryRoom::pending;
  const auto victims = choose_parked_victims(registry, deficit, world.now);
  if (!victims) return HostMemoryRoom::none;
  for (const ResidentId id : *victims) {
    const DeviceId device = registry[registry[id].consumer].spec.device;
    out.emplace_back(
        Planned{.device = device, .reason = PlanReason::host_memory, .victims = {id}, .needed = needed});
    begin_eviction(world, out, id, PlanReason::host_memory);
  }
  return HostMemoryRoom::pending;
}

void finish_eviction(World& world, Effects& out, const Eviction& eviction) {
  Registry& registry = world.registry;
  const ConsumerState& consumer = registry[registry[eviction.resident].consumer];
  const bool parked = eviction.rung == Rung::park && !eviction.has_left;
  if (!registry[eviction.resident].leaves_host_memory && !eviction.has_left)
    learn_freed(registry, eviction.resident, freed_bytes(registry, eviction));
  registry[eviction.resident].state = parked ? Residency::parked : Residency::cold;
  if (ends_process(eviction.rung)) mark_siblings_cold(world, consumer);
  release_evicted_bytes(registry, eviction);
  if (!registry[eviction.resident].leaves_host_memory) {
    learn_eviction(registry, eviction.resident, world.now, eviction.rung, eviction.has_left);
    out.emplace_back(CostsLearned{eviction.resident, registry[eviction.resident].costs});
  }
  update_statistics(primary_line(world, consumer.spec).statistics, statistics_event::EvictionDone{});
  out.emplace_back(Evicted{.resident = eviction.resident,
                           .rung = eviction.rung,
                           .before_bytes = eviction.before_bytes,
                           .after_bytes = measured_bytes(consumer)});
  mark_line_dirty(world, consumer.spec);
}

void give_up_eviction(World& world, Effects& out, const Eviction& eviction, std::string_view failure) {
  Registry& registry = world.registry;
  Resident& resident = registry[eviction.resident];
  const ConsumerState& consumer = registry[resident.consumer];
  const Error error{ErrorCode::eviction_failed,
                    consumer.spec.name + " was not evicted: " + std::string(failure) +
                        " (last rung: " + std::string(to_string(eviction.rung)) + ")"};
  if (ends_process(eviction.rung)) {
    // No further rung exists. Memory that is still measured stays committed.
    mark_siblings_cold(world, consumer);
    resident.state = Residency::failed;
    resident.last_error = error;
    resident.retry_at = world.now + world.limits.retry_backoff_max;
  } else if (eviction.has_left) {
    resident.state = Residency::cold;
  } else {
    resident.state = resident.leaves_host_memory ? Residency::parked : Residency::warm;
    resident.eviction_retry_at = world.now + world.limits.retry_backoff_max;
    observe_found(registry,
                  eviction.resident);  // it may have freed a part: readings do not show its size now
  }
  if (ends_process(eviction.rung) || eviction.has_left) release_evicted_bytes(registry, eviction);
  update_statistics(primary_line(world, consumer.spec).statistics, statistics_event::EvictionGivenUp{});
  out.emplace_back(EvictionFailed{
      .resident = eviction.resident, .error = error, .still_held_bytes = measured_bytes(consumer)});
  mark_line_dirty(world, consumer.spec);
}

// Without it the size of a resident that is used for a moment only would never be seen.
bool are_latest_loads_seen(const World& world, const Consumer& consumer) {
  return std::ranges::all_of(devices_of(consumer),
                             [&](DeviceId device) { return is_latest_load_seen(world, device); });
}

void take_first_rung(World& world, Effects& out, Eviction& eviction) {
  const Resident& resident = world.registry[eviction.resident];
  const Consumer& spec = world.registry[resident.consumer].spec;
  const HostMemoryRoom room =
      eviction.parks ? make_host_memory_room(world, out, resident.footprint) : HostMemoryRoom::none;
  if (room == HostMemoryRoom::pending) {
    eviction.rung = Rung::park;
    eviction.awaits_host_memory = true;
    eviction.rung_deadline = world.now + spec.stop_limit;
    return;
  }
  const bool unloads = room == HostMemoryRoom::none && (spec.can_unload || spec.can_stop);
  take_rung(world, out, eviction, !unloads ? Rung::park : spec.can_unload ? Rung::service : Rung::stop);
}

// Starts the next rung, or gives the eviction up. Returns whether it is over.
bool take_next_rung(World& world, Effects& out, Eviction& eviction, std::string_view failure) {
  const ConsumerState& consumer = world.registry[world.registry[eviction.resident].consumer];
  if (const auto rung = following_rung(world.registry, consumer, eviction.rung)) {
    take_rung(world, out, eviction, *rung);
    return false;
  }
  give_up_eviction(world, out, eviction, failure);
  return true;
}

}  // namespace

void begin_eviction(World& world, Effects& out, ResidentId id, PlanReason reason, bool park) {
  Resident& resident = world.registry[id];
  const Consumer& spec = world.registry[resident.consumer].spec;
  MGPU_ASSERT(resident.use_count == 0, "a resident is evicted only while no lease, promise or claim uses it");
  MGPU_ASSERT(!spec.pinned || reason == PlanReason::operator_request || reason == PlanReason::yielded,
              "a pinned resident is evicted only for an operator or a yield_to program");
  MGPU_ASSERT(!world.evictions.contains(id), "a resident has at most one eviction in progress");
  const bool is_parked = resident.state == Residency::parked;
  park = !is_parked &&
         (park || (reason != PlanReason::operator_request && prefers_parking(world.registry, resident)));
  resident.warm_up_blocked = reason == PlanReason::idle || reason == PlanReason::operator_request;
  report_if_loaded_in_vain(world, out, id);
  resident.transition_at = world.now;
  resident.state = Residency::unloading;
  resident.leaves_host_memory = is_parked;
  resident.was_dropped = false;
  Eviction& eviction =
      world.evictions[id] = {.resident = id, .rung = Rung::service, .parks = park, .reason = reason};
  if (is_parked || are_latest_loads_seen(world, spec)) return take_first_rung(world, out, eviction);
  eviction.awaits_reading = true;
  eviction.rung_deadline = world.now + kReadingWait;
  for (const DeviceId device : devices_of(spec))
    if (!world.lines[device.value].is_reading_pending) request_reading(world, out, device);
}

void handle_rung_result(World& world, Effects& out, ResidentId id, Rung rung, const Result<void>& result) {
  const Consumer& spec = world.registry[world.registry[id].consumer].spec;
  const auto found = world.evictions.find(id);
  if (found == world.evictions.end() || found->second.awaits_reading || found->second.rung != rung ||
      found->second.is_answered)
    return;
  Eviction& eviction = found->second;
  // A service that refuses to unload what it no longer has has nothing to free.
  if (!result && !(eviction.has_left && !ends_process(rung))) {
    if (take_next_rung(world, out, eviction, result.error().detail)) world.evictions.erase(id);
    return;
  }
  eviction.is_answered = true;
  eviction.answered_at = world.now;
  eviction.rung_deadline = world.now + spec.stop_limit;
  for (const DeviceId device : devices_of(spec)) request_reading(world, out, device);
}

void advance_evictions(World& world, Effects& out, DeviceId device) {
  auto& evictions = world.evictions;
  std::vector<ResidentId> residents;
  for (const auto& [id, eviction] : evictions)
    if (is_resident_on(world, id, device)) residents.push_back(id);
  for (const ResidentId id : residents) {
    const auto found = evictions.find(id);
    if (found == evictions.end()) continue;  // became part of another resident's eviction in this loop
    Eviction& eviction = found->second;
    if (eviction.awaits_reading) {
      const Consumer& spec = world.registry[world.registry[id].consumer].spec;
      if (!are_latest_loads_seen(world, spec) && world.now < eviction.rung_deadline) continue;
      eviction.awaits_reading = false;
      take_first_rung(world, out, eviction);
    } else if (eviction.awaits_host_memory) {
      const HostMemoryRoom room = make_host_memory_room(world, out, world.registry[id].footprint);
      if (room == HostMemoryRoom::pending && world.now < eviction.rung_deadline) continue;
      eviction.awaits_host_memory = false;
      if (room == HostMemoryRoom::available) {
        take_rung(world, out, eviction, Rung::park);
      } else if (take_next_rung(world, out, eviction, "no host memory is free for parking")) {
        evictions.erase(id);
      }
    } else if (is_memory_free(world, eviction)) {
      finish_eviction(world, out, eviction);
      evictions.erase(id);
    } else if (world.now >= eviction.rung_deadline) {
      const auto* failure = eviction.is_answered
                                ? "readings did not show its memory free within stop_limit"
                                : "the service or its process did not answer within stop_limit";
      if (take_next_rung(world, out, eviction, failure)) evictions.erase(id);
    }
  }
}

bool is_process_ending(const World& world, ConsumerId consumer) {
  return std::ranges::any_of(world.evictions, [&](const auto& entry) {
    return world.registry[entry.first].consumer == consumer && ends_process(entry.second.rung);
  });
}

bool has_evictions(const World& world, DeviceId device) {
  return std::ranges::any_of(world.evictions,
                             [&](const auto& entry) { return is_resident_on(world, entry.first, device); });
}

Bytes pending_yield(const World& world, DeviceId device) {
  Bytes bytes{};
  for (const auto& [id, eviction] : world.evictions)
    if (!world.registry[id].leaves_host_memory && is_resident_on(world, id, device))
      bytes += eviction_yield(world.registry, world.registry[id], device);
  return bytes;
}

}  // namespace mgpu
