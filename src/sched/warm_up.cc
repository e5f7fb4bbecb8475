#include "sched/warm_up.h"

#include <algorithm>

#include "plan/victim_selection.h"
#include "registry/usage_history.h"
#include "sched/ladder.h"
#include "sched/order.h"

namespace mgpu {
namespace {

constexpr double kLikely = 0.5;      // a follower this likely is brought in
constexpr double kClearly = 2.0;     // how much more it must be worth than whoever leaves for it
constexpr std::uint16_t kUsual = 3;  // jobs in an hour of the day, on the days that are remembered

enum class Expected : std::uint8_t { not_at_all, usual_now, belongs_here, follows };

bool may_come(const World& world, const Resident& resident) {
  const bool away = resident.state == Residency::cold || resident.state == Residency::parked ||
                    (resident.state == Residency::failed && world.now >= resident.retry_at &&
                     resident.consecutive_failures == 0);
  return away && !resident.warm_up_blocked && resident.use_count == 0;
}

bool follows_somebody_at_work(const World& world, const Resident& resident) {
  const auto& consumers = world.registry.consumers;
  for (std::size_t i = 0; i < consumers.size(); ++i)
    if (consumers[i].running_leases > 0 &&
        consumers[i].spec.device == world.registry[resident.consumer].spec.device &&
        succession_probability(world.registry, ConsumerId{i}, resident.consumer) >= kLikely)
      return true;
  return false;
}

bool usual_at(const Resident& resident, std::uint8_t hour) {
  const auto& hours = resident.costs.runs_by_hour;
  std::uint32_t all = 0;
  for (const std::uint16_t count : hours) all += count;
  return hours[hour % hours.size()] >= kUsual && hours[hour % hours.size()] * hours.size() >= all;
}

Expected expectation(const World& world, const Resident& resident, bool idle) {
  const Consumer& spec = world.registry[resident.consumer].spec;
  if (!idle) return follows_somebody_at_work(world, resident) ? Expected::follows : Expected::not_at_all;
  const bool used_before = resident.costs.runs > 0;
  if ((spec.pinned || spec.reserved) && used_before) return Expected::belongs_here;
  return usual_at(resident, world.hour) ? Expected::usual_now : Expected::not_at_all;
}

bool room_for(const World& world, DeviceId device, ResidentId id, Expected expected) {
  const Resident& resident = world.registry[id];
  const Bytes needed = device_part(world.registry[resident.consumer].spec, device, resident.footprint);
  const Bytes deficit = needed - headroom(world.registry, device);
  if (deficit <= Bytes{}) return true;
  if (expected != Expected::belongs_here) return false;  // only who was promised a place sends others away
  std::vector<EvictionCandidate> candidates = worth_less_than(world, device, id);
  return choose_victims(candidates, deficit);
}

// Nobody waits, and nothing comes or goes.
bool is_calm(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  return !line.loading && line.waiting.empty() && line.turnless.empty() && line.preparing.empty() &&
         !stands_still(world, device) && !anything_leaves(world, device);
}

}  // namespace

std::optional<ResidentId> next_to_warm_up(const World& world, DeviceId device) {
  if (world.limits.policy == Policy::fifo || world.draining || !is_calm(world, device)) return std::nullopt;
  std::optional<ResidentId> best;
  Expected strongest = Expected::not_at_all;
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    const auto devices = devices_of(world.registry[resident.consumer].spec);
    if (devices.front() != device || !may_come(world, resident)) continue;
    const auto is_idle = [&](DeviceId one) { return world.lines[one.value].leases == 0; };
    const Expected expected = expectation(world, resident, std::ranges::all_of(devices, is_idle));
    if (expected <= strongest) continue;
    // Asked last: it looks at all residents of the consumer, which for each of them would be quadratic.
    if (has_resident_in(world.registry, world.registry[resident.consumer], Residency::unloading)) continue;
    const bool comes = std::ranges::all_of(devices, [&](DeviceId one) {
      return is_calm(world, one) && room_for(world, one, ResidentId{i}, expected);
    });
    if (!comes) continue;
    best = ResidentId{i};
    strongest = expected;
  }
  return best;
}

std::vector<EvictionCandidate> worth_less_than(const World& world, DeviceId device, ResidentId id) {
  const double worth = retention_value(world.registry, world.registry[id], world.now);
  std::vector<EvictionCandidate> candidates = eviction_candidates(world.registry, device, world.now);
  std::erase_if(candidates, [&](const EvictionCandidate& candidate) {
    return world.registry[candidate.resident].waiting > 0 || candidate.retention_value * kClearly >= worth;
  });
  return candidates;
}

}  // namespace mgpu
