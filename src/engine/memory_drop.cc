#include "engine/memory_drop.h"

#include <algorithm>

namespace mgpu::engine {

bool MemoryDrop::observe(const Registry& registry, ConsumerId id) {
  const ConsumerState& consumer = registry[id];
  if (consumer.residents.size() != 1 || !registry.readings[consumer.spec.device.value].is_per_process)
    return false;
  const Resident& resident = registry[consumer.residents.front()];
  if (resident.transition_at != warm_since_) *this = {};
  warm_since_ = resident.transition_at;
  const Bytes measured = measured_bytes(consumer);
  peak_ = std::max(peak_, measured);
  const Bytes rest = std::max(consumer.spec.residue, Bytes{resident.footprint.count / 8});
  const bool is_idle = resident.state == Residency::warm && resident.use_count == 0;
  const bool is_low = is_idle && measured <= rest && peak_ >= Bytes{resident.footprint.count / 2};
  low_readings_ = is_low ? low_readings_ + 1 : 0;
  return low_readings_ == kLowReadings;
}

}  // namespace mgpu::engine
