#include "sched/load_expectation.h"

#include <algorithm>
#include <limits>

#include "plan/victim_selection.h"
#include "registry/memory_learning.h"
#include "sched/eviction_ladder.h"

namespace mgpu {
namespace {

// With less than this a load of unknown size is not worth trying.
constexpr Bytes kMinRoom = kMiB * 256;

bool takes_all_room(const Resident& resident) {
  return is_size_unknown(resident) || resident.ran_out_of_memory;
}

// What is left on the consumer's devices when all that can be evicted is gone; negative if too much is
// reserved.
Bytes spare_room(const World& world, const Consumer& consumer) {
  Bytes spare{std::numeric_limits<std::int64_t>::max()};
  for (const DeviceId device : devices_of(consumer)) {
    Bytes room = headroom(world.registry, device) + pending_yield(world, device);
    for (const EvictionCandidate& candidate : eviction_candidates(world.registry, device, world.now))
      room += candidate.yield_bytes;
    // Parts are rounded up: without these few bytes the parts of the total could exceed the room.
    room -= Bytes{static_cast<std::int64_t>(consumer.split.size())};
    spare = std::min(spare, total_from_part(consumer, device, room));
  }
  return spare;
}

}  // namespace

void set_load_expectation(World& world, ResidentId id) {
  Resident& resident = world.registry[id];
  drop_provisional_footprint(world.registry, id);
  const Consumer& consumer = world.registry[resident.consumer].spec;
  if (!takes_all_room(resident)) {
    if (!holds_memory(resident))
      resident.footprint = expected_footprint(resident, consumer.footprint_declaration);
    return;
  }
  const Bytes known = std::max(resident.footprint, kMinRoom);
  resident.footprint = known;
  // What a resident yields depends on what is promised beside it, so the first sum may be too large.
  for (int pass = 0; pass < 2; ++pass)
    resident.footprint = std::max(resident.footprint + spare_room(world, consumer), known);
  resident.is_provisional = true;
}

bool is_load_expectation_unsure(const Resident& resident) {
  return takes_all_room(resident) || !was_seen_loaded(resident);
}

}  // namespace mgpu
