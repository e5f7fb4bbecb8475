#include "sched/warm_up.h"

#include <algorithm>

#include "plan/victim_selection.h"
#include "registry/usage_history.h"
#include "sched/eviction_ladder.h"
#include "sched/line_order.h"
#include "sched/load_expectation.h"

namespace mgpu {
namespace {

constexpr double kMinSuccessionProbability = 0.5;
constexpr double kMinValueRatio = 2.0;       // of the loaded resident's retention value to an evicted one's
constexpr std::uint16_t kMinRunsInHour = 3;  // recorded jobs in this hour of the day

// Ascending: a resident with a higher reason is loaded first.
enum class WarmUpReason : std::uint8_t { none, usual_hour, pinned_or_reserved, successor };

bool can_warm_up(const World& world, const Resident& resident) {
  const bool is_unloaded = resident.state == Residency::cold || resident.state == Residency::parked ||
                           (resident.state == Residency::failed && world.now >= resident.retry_at &&
                            resident.consecutive_failures == 0);
  return is_unloaded && !resident.warm_up_blocked && !resident.is_gone && resident.use_count == 0 &&
         !is_load_expectation_unsure(resident);
}

bool follows_running_consumer(const World& world, const Resident& resident) {
  const auto& consumers = world.registry.consumers;
  for (std::size_t i = 0; i < consumers.size(); ++i)
    if (consumers[i].running_leases > 0 &&
        consumers[i].spec.device == world.registry[resident.consumer].spec.device &&
        succession_probability(world.registry, ConsumerId{i}, resident.consumer) >= kMinSuccessionProbability)
      return true;
  return false;
}

bool is_usual_hour(const Resident& resident, std::uint8_t hour) {
  const auto& hours = resident.costs.runs_by_hour;
  std::uint32_t total = 0;
  for (const std::uint16_t count : hours) total += count;
  const std::uint16_t in_hour = hours[hour % hours.size()];
  return in_hour >= kMinRunsInHour && in_hour * hours.size() >= total;  // at least the average
}

WarmUpReason warm_up_reason(const World& world, const Resident& resident, bool idle) {
  const Consumer& spec = world.registry[resident.consumer].spec;
  if (!idle) return follows_running_consumer(world, resident) ? WarmUpReason::successor : WarmUpReason::none;
  const bool used_before = resident.costs.runs > 0;
  if ((spec.pinned || spec.reserved) && used_before) return WarmUpReason::pinned_or_reserved;
  return is_usual_hour(resident, world.hour) ? WarmUpReason::usual_hour : WarmUpReason::none;
}

bool has_room_for(const World& world, DeviceId device, ResidentId id, WarmUpReason reason) {
  const Resident& resident = world.registry[id];
  const Bytes needed = device_part(world.registry[resident.consumer].spec, device, resident.footprint);
  const Bytes deficit = needed - headroom(world.registry, device);
  if (deficit <= Bytes{}) return true;
  if (reason != WarmUpReason::pinned_or_reserved) return false;  // the other reasons justify no eviction
  std::vector<EvictionCandidate> candidates = less_valuable_candidates(world, device, id);
  return choose_victims(candidates, deficit);
}

// Whether no ticket waits, and nothing is loaded or evicted.
bool is_line_quiet(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  return !line.loading && line.waiting.empty() && line.turnless.empty() && line.preparing.empty() &&
         !is_device_paused(world, device) && !has_evictions(world, device);
}

}  // namespace

std::optional<ResidentId> next_to_warm_up(const World& world, DeviceId device) {
  if (world.limits.policy == Policy::fifo || world.draining || !is_line_quiet(world, device))
    return std::nullopt;
  std::optional<ResidentId> best;
  WarmUpReason best_reason = WarmUpReason::none;
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    const auto devices = devices_of(world.registry[resident.consumer].spec);
    if (devices.front() != device || !can_warm_up(world, resident)) continue;
    const auto is_idle = [&](DeviceId id) { return world.lines[id.value].running_leases == 0; };
    const WarmUpReason reason = warm_up_reason(world, resident, std::ranges::all_of(devices, is_idle));
    if (reason <= best_reason) continue;
    // Checked late, because it iterates over all residents of the consumer.
    if (has_resident_in(world.registry, world.registry[resident.consumer], Residency::unloading)) continue;
    const bool can_load = std::ranges::all_of(devices, [&](DeviceId id) {
      return is_line_quiet(world, id) && has_room_for(world, id, ResidentId{i}, reason);
    });
    if (!can_load) continue;
    best = ResidentId{i};
    best_reason = reason;
  }
  return best;
}

std::vector<EvictionCandidate> less_valuable_candidates(const World& world, DeviceId device, ResidentId id) {
  const double value = retention_value(world.registry, world.registry[id], world.now);
  std::vector<EvictionCandidate> candidates = eviction_candidates(world.registry, device, world.now);
  std::erase_if(candidates, [&](const EvictionCandidate& candidate) {
    return world.registry[candidate.resident].waiting > 0 ||
           candidate.retention_value * kMinValueRatio >= value;
  });
  return candidates;
}

}  // namespace mgpu
