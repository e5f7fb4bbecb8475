#include "engine/uninvited_loads.h"

#include <utility>

namespace mgpu::engine {

void UninvitedLoads::record(const Registry& registry, ResidentId resident) {
  if (!has_baseline_) return;
  ++count_;
  unused_.emplace(resident, registry[resident].last_used);
}

void UninvitedLoads::drop_used(const Registry& registry) {
  std::erase_if(unused_, [&](const auto& entry) {
    const Resident& resident = registry[entry.first];
    return resident.state != Residency::warm || resident.use_count > 0 || resident.last_used != entry.second;
  });
}

std::vector<ResidentId> UninvitedLoads::take_unused() {
  std::vector<ResidentId> taken;
  for (const auto& [resident, last_used] : std::exchange(unused_, {})) taken.push_back(resident);
  return taken;
}

}  // namespace mgpu::engine
