#include "plan/victim_selection.h"

#include <algorithm>
#include <ranges>
#include <tuple>

#include "registry/costs.h"
#include "registry/usage_history.h"

namespace mgpu {
namespace {

// Uses expected within this time count; a change of residents takes about as long.
constexpr Duration kUseHorizon{30'000'000};

// Added to the value of reserved residents (seconds per GiB), so that all others are evicted before them.
constexpr double kReservedValue = 1e6;

double to_gib(Bytes bytes) { return static_cast<double>(bytes.count) / static_cast<double>(kGiB.count); }

Duration reload_time(const Registry& registry, const Resident& resident) {
  if (resident.state == Residency::parked) return load_time(resident, LoadSource::cached);
  return load_time(resident, prefers_parking(registry, resident) ? LoadSource::parked : LoadSource::cached);
}

double retention_value(const Registry& registry, const Resident& resident, Bytes yield, Duration reload,
                       Instant now) {
  const double expected_seconds = to_seconds(reload) * need_probability(registry, resident, now);
  const double value = expected_seconds / std::max(to_gib(yield), 1e-3);
  return registry[resident.consumer].spec.reserved ? value + kReservedValue : value;
}

// The least valuable first; equally valuable ones by last use.
void sort_by_value(const Registry& registry, std::vector<EvictionCandidate>& candidates) {
  std::ranges::sort(candidates, {}, [&](const EvictionCandidate& candidate) {
    return std::tuple(candidate.retention_value, registry[candidate.resident].last_used, candidate.resident);
  });
}

bool fits_host_memory(const Registry& registry, const Resident& resident) {
  return registry.park_memory >= resident.footprint && registry.park_memory > Bytes{};
}

}  // namespace

bool can_be_evicted(const Registry& registry, const Resident& resident, Instant now) {
  if (resident.state != Residency::warm || resident.use_count > 0 || resident.eviction_retry_at > now)
    return false;
  const ConsumerState& consumer = registry[resident.consumer];
  const Consumer& spec = consumer.spec;
  return (spec.can_unload || spec.can_stop || prefers_parking(registry, resident)) &&
         !has_resident_in(registry, consumer, Residency::loading);
}

bool is_eviction_candidate(const Registry& registry, const Resident& resident, Instant now) {
  return !registry[resident.consumer].spec.pinned && can_be_evicted(registry, resident, now);
}

bool prefers_parking(const Registry& registry, const Resident& resident) {
  return registry[resident.consumer].spec.can_park && fits_host_memory(registry, resident) &&
         load_time(resident, LoadSource::parked) < load_time(resident, LoadSource::cached);
}

Bytes eviction_yield(const Registry& registry, const Resident& resident, DeviceId device) {
  const ConsumerState& consumer = registry[resident.consumer];
  const std::size_t in_memory =
      consumer.residents.size() > 1 ? residents_in_memory(registry, consumer).size() : 1;
  if (in_memory > 1) {
    // Nobody knows whose the unattributed bytes are. With the last one of them all come free.
    const std::int64_t unattributed = device_usage(consumer, device).unattributed.count;
    return device_part(consumer.spec, device, resident.footprint) +
           Bytes{unattributed / static_cast<std::int64_t>(in_memory)};
  }
  const bool process_stays = consumer.spec.can_unload || prefers_parking(registry, resident);
  const Bytes residue = process_stays ? std::min(consumer.spec.residue, resident.footprint) : Bytes{};
  // Memory that is promised to waiting tickets of the consumer does not come free with the resident.
  return committed_bytes(registry, consumer, device) -
         device_part(consumer.spec, device, promised_bytes(registry, consumer) + residue);
}

double need_probability(const Registry& registry, const Resident& resident, Instant now) {
  if (resident.waiting > 0) return 1;
  double probability = use_probability(resident, now, kUseHorizon);
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerState& other = registry.consumers[i];
    if (other.running_leases == 0 || other.spec.device != registry[resident.consumer].spec.device) continue;
    probability = std::max(probability, succession_probability(registry, ConsumerId{i}, resident.consumer));
  }
  return probability;
}

double retention_value(const Registry& registry, const Resident& resident, Instant now) {
  return retention_value(registry, resident, resident.footprint, reload_time(registry, resident), now);
}

std::vector<EvictionCandidate> eviction_candidates(const Registry& registry, DeviceId device, Instant now) {
  std::vector<EvictionCandidate> candidates;
  for (const ConsumerState& consumer : registry.consumers) {
    if (!is_on_device(consumer.spec, device)) continue;
    for (const ResidentId id : consumer.residents) {
      const Resident& resident = registry[id];
      if (!is_eviction_candidate(registry, resident, now)) continue;
      const Bytes yield = eviction_yield(registry, resident, device);
      const Duration reload = reload_time(registry, resident);
      candidates.push_back({.resident = id,
                            .yield_bytes = yield,
                            .reload_time = reload,
                            .retention_value = retention_value(registry, resident, yield, reload, now)});
    }
  }
  sort_by_value(registry, candidates);
  return candidates;
}

bool choose_victims(std::span<EvictionCandidate> candidates, Bytes deficit) {
  Bytes freed{};
  for (EvictionCandidate& candidate : candidates) {
    candidate.chosen = freed < deficit;
    if (candidate.chosen) freed += candidate.yield_bytes;
  }
  if (freed < deficit) {
    for (EvictionCandidate& candidate : candidates) candidate.chosen = false;
    return false;
  }
  for (EvictionCandidate& candidate : candidates | std::views::reverse) {
    if (!candidate.chosen || freed - candidate.yield_bytes < deficit) continue;
    freed -= candidate.yield_bytes;
    candidate.chosen = false;
  }
  return true;
}

std::vector<ResidentId> chosen_victims(std::span<const EvictionCandidate> candidates) {
  std::vector<ResidentId> victims;
  for (const EvictionCandidate& candidate : candidates)
    if (candidate.chosen) victims.push_back(candidate.resident);
  return victims;
}

std::optional<std::vector<ResidentId>> choose_parked_victims(const Registry& registry, Bytes deficit,
                                                             Instant now) {
  std::vector<EvictionCandidate> parked;
  for (std::size_t i = 0; i < registry.residents.size(); ++i) {
    const Resident& resident = registry.residents[i];
    const Consumer& spec = registry[resident.consumer].spec;
    if (resident.state != Residency::parked || resident.use_count > 0 || spec.pinned ||
        !(spec.can_unload || spec.can_stop))
      continue;
    parked.push_back({.resident = ResidentId{i},
                      .yield_bytes = resident.footprint,
                      .retention_value = retention_value(registry, resident, now)});
  }
  sort_by_value(registry, parked);
  if (!choose_victims(parked, deficit)) return std::nullopt;
  return chosen_victims(parked);
}

}  // namespace mgpu
