#include "plan/victims.h"

#include <algorithm>
#include <utility>

namespace mgpu {

bool is_candidate(const Registry& registry, const Resident& resident, Instant now) {
  const ConsumerState& consumer = registry[resident.consumer];
  const Consumer& spec = consumer.spec;
  return resident.state == Residency::warm && resident.users == 0 && !spec.pinned &&
         (spec.can_unload || spec.can_stop) && resident.stubborn_until <= now &&
         !any_in(registry, consumer, Residency::loading);
}

Bytes yield_of(const Registry& registry, const Resident& resident) {
  const ConsumerState& consumer = registry[resident.consumer];
  if (consumer.residents.size() > 1) return resident.footprint;
  const Bytes stays =
      consumer.spec.can_unload ? std::min(consumer.spec.residue, resident.footprint) : Bytes{};
  return committed(registry, consumer) - stays;
}

std::optional<std::vector<ResidentId>> choose_victims(const Registry& registry, DeviceId device,
                                                      Bytes deficit, Instant now) {
  std::vector<ResidentId> candidates;
  for (const ConsumerState& consumer : registry.consumers) {
    if (consumer.spec.device != device) continue;
    for (const ResidentId id : consumer.residents)
      if (is_candidate(registry, registry[id], now)) candidates.push_back(id);
  }
  std::ranges::sort(candidates, {}, [&](ResidentId id) { return std::pair(registry[id].last_used, id); });

  std::vector<ResidentId> victims;
  Bytes gained{};
  for (const ResidentId id : candidates) {
    if (gained >= deficit) break;
    victims.push_back(id);
    gained += yield_of(registry, registry[id]);
  }
  if (gained < deficit) return std::nullopt;

  for (auto spared = victims.end(); spared != victims.begin();) {
    --spared;
    const Bytes without = gained - yield_of(registry, registry[*spared]);
    if (without < deficit) continue;
    gained = without;
    spared = victims.erase(spared);
  }
  return victims;
}

}  // namespace mgpu
