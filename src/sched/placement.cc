#include "sched/placement.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "plan/victim_selection.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();

bool is_in_use(const Registry& registry, const ConsumerState& consumer) {
  const bool has_tickets = consumer.running_leases + consumer.promised_tickets + consumer.waiting_tickets > 0;
  if (has_tickets || measured_bytes(consumer) > Bytes{}) return true;
  return std::ranges::any_of(consumer.residents, [&](ResidentId id) {
    const Resident& resident = registry[id];
    return resident.use_count > 0 ||
           (resident.state != Residency::cold && resident.state != Residency::failed);
  });
}

// Expected seconds of reloading of the residents that would be evicted for `need`.
double displacement_seconds(const World& world, DeviceId device, Bytes need) {
  const Registry& registry = world.registry;
  const Reading& reading = registry.readings[device.value];
  if (reading.lost || need > reading.total - registry.devices[device.value].reserve) return kImpossible;
  const Bytes deficit = need - headroom(registry, device);
  if (deficit <= Bytes{}) return 0;
  std::vector<EvictionCandidate> candidates = eviction_candidates(registry, device, world.now);
  if (!choose_victims(candidates, deficit)) return std::numeric_limits<double>::max();
  double microseconds = 0;
  for (const EvictionCandidate& candidate : candidates)
    if (candidate.chosen)
      microseconds += static_cast<double>(candidate.reload_time.count()) *
                      need_probability(registry, registry[candidate.resident], world.now);
  return microseconds / 1e6;
}

}  // namespace

DeviceId choose_device(const World& world, const TicketRequest& request) {
  const ConsumerState& consumer = world.registry[*request.consumer];
  if (consumer.spec.devices.empty() || !consumer.spec.split.empty() || is_in_use(world.registry, consumer))
    return consumer.spec.device;
  if (request.device_requested &&
      std::ranges::find(consumer.spec.devices, request.device) != consumer.spec.devices.end())
    return request.device;
  const Bytes need = total_need(world.registry, request);
  const auto cost = [&](DeviceId device) {
    const LineState& line = world.lines[device.value];
    const std::size_t line_length = line.waiting.size() + line.turns.size() + line.bare_turns.size();
    return std::tuple(displacement_seconds(world, device, need), line_length);
  };
  return *std::ranges::min_element(consumer.spec.devices, {}, cost);
}

}  // namespace mgpu
