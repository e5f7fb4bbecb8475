#include "plan/victims.h"

#include <algorithm>
#include <ranges>
#include <tuple>

#include "registry/costs.h"
#include "registry/usage_history.h"

namespace mgpu {
namespace {

// How far ahead a use counts: about as long as a change of residents takes.
constexpr Duration kHorizon{30'000'000};

// What keeps a reserved one from leaving before anybody else, in seconds a GiB.
constexpr double kReserved = 1e6;

double in_seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

double in_gib(Bytes bytes) { return static_cast<double>(bytes.count) / static_cast<double>(kGiB.count); }

Duration reload_time(const Registry& registry, const Resident& resident) {
  if (resident.state == Residency::parked) return load_time(resident, LoadSource::cached);
  return load_time(resident, parks(registry, resident) ? LoadSource::parked : LoadSource::cached);
}

double value_of(const Registry& registry, const Resident& resident, Bytes yield, Duration reload,
                Instant now) {
  const double expected = in_seconds(reload) * chance_of_need(registry, resident, now);
  const double value = expected / std::max(in_gib(yield), 1e-3);
  return registry[resident.consumer].spec.reserved ? value + kReserved : value;
}

// The least valuable first; equally valuable ones by last use.
void sort_by_value(const Registry& registry, std::vector<EvictionCandidate>& candidates) {
  std::ranges::sort(candidates, {}, [&](const EvictionCandidate& candidate) {
    return std::tuple(candidate.retention_value, registry[candidate.resident].last_used, candidate.resident);
  });
}

bool fits_host_at_all(const Registry& registry, const Resident& resident) {
  return registry.park_memory >= resident.footprint && registry.park_memory > Bytes{};
}

}  // namespace

bool may_leave(const Registry& registry, const Resident& resident, Instant now) {
  if (resident.state != Residency::warm || resident.use_count > 0 || resident.eviction_retry_at > now)
    return false;
  const ConsumerState& consumer = registry[resident.consumer];
  const Consumer& spec = consumer.spec;
  return (spec.can_unload || spec.can_stop || parks(registry, resident)) &&
         !has_resident_in(registry, consumer, Residency::loading);
}

bool is_candidate(const Registry& registry, const Resident& resident, Instant now) {
  return !registry[resident.consumer].spec.pinned && may_leave(registry, resident, now);
}

bool parks(const Registry& registry, const Resident& resident) {
  return registry[resident.consumer].spec.can_park && fits_host_at_all(registry, resident) &&
         load_time(resident, LoadSource::parked) < load_time(resident, LoadSource::cached);
}

Bytes yield_of(const Registry& registry, const Resident& resident, DeviceId device) {
  const ConsumerState& consumer = registry[resident.consumer];
  if (consumer.residents.size() > 1) return device_part(consumer.spec, device, resident.footprint);
  const bool lives_on = consumer.spec.can_unload || parks(registry, resident);
  const Bytes stays = lives_on ? std::min(consumer.spec.residue, resident.footprint) : Bytes{};
  // What comes for those who were promised it meanwhile does not leave with it.
  return committed_bytes(registry, consumer, device) -
         device_part(consumer.spec, device, promised_bytes(registry, consumer) + stays);
}

double chance_of_need(const Registry& registry, const Resident& resident, Instant now) {
  if (resident.waiting > 0) return 1;
  double chance = use_probability(resident, now, kHorizon);
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerState& other = registry.consumers[i];
    if (other.running_leases == 0 || other.spec.device != registry[resident.consumer].spec.device) continue;
    chance = std::max(chance, succession_probability(registry, ConsumerId{i}, resident.consumer));
  }
  return chance;
}

double value_of(const Registry& registry, const Resident& resident, Instant now) {
  return value_of(registry, resident, resident.footprint, reload_time(registry, resident), now);
}

std::vector<EvictionCandidate> candidates_on(const Registry& registry, DeviceId device, Instant now) {
  std::vector<EvictionCandidate> candidates;
  for (const ConsumerState& consumer : registry.consumers) {
    if (!is_on_device(consumer.spec, device)) continue;
    for (const ResidentId id : consumer.residents) {
      const Resident& resident = registry[id];
      if (!is_candidate(registry, resident, now)) continue;
      const Bytes yield = yield_of(registry, resident, device);
      const Duration reload = reload_time(registry, resident);
      candidates.push_back({.resident = id,
                            .yield_bytes = yield,
                            .reload_time = reload,
                            .retention_value = value_of(registry, resident, yield, reload, now)});
    }
  }
  sort_by_value(registry, candidates);
  return candidates;
}

bool choose_victims(std::span<EvictionCandidate> candidates, Bytes deficit) {
  Bytes gained{};
  for (EvictionCandidate& candidate : candidates) {
    candidate.chosen = gained < deficit;
    if (candidate.chosen) gained += candidate.yield_bytes;
  }
  if (gained < deficit) {
    for (EvictionCandidate& candidate : candidates) candidate.chosen = false;
    return false;
  }
  for (EvictionCandidate& spared : candidates | std::views::reverse) {
    if (!spared.chosen || gained - spared.yield_bytes < deficit) continue;
    gained -= spared.yield_bytes;
    spared.chosen = false;
  }
  return true;
}

std::vector<ResidentId> chosen(std::span<const EvictionCandidate> candidates) {
  std::vector<ResidentId> victims;
  for (const EvictionCandidate& candidate : candidates)
    if (candidate.chosen) victims.push_back(candidate.resident);
  return victims;
}

std::optional<std::vector<ResidentId>> choose_dropped(const Registry& registry, Bytes deficit, Instant now) {
  std::vector<EvictionCandidate> parked;
  for (std::size_t i = 0; i < registry.residents.size(); ++i) {
    const Resident& resident = registry.residents[i];
    const Consumer& spec = registry[resident.consumer].spec;
    if (resident.state != Residency::parked || resident.use_count > 0 || spec.pinned ||
        !(spec.can_unload || spec.can_stop))
      continue;
    parked.push_back({.resident = ResidentId{i},
                      .yield_bytes = resident.footprint,
                      .retention_value = value_of(registry, resident, now)});
  }
  sort_by_value(registry, parked);
  if (!choose_victims(parked, deficit)) return std::nullopt;
  return chosen(parked);
}

}  // namespace mgpu
