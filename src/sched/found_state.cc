#include "sched/found_state.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "registry/cost_learning.h"
#include "registry/memory_learning.h"
#include "sched/eviction_ladder.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

bool has_running_lease(const World& world, ResidentId id) {
  return world.registry[world.registry[id].consumer].running_leases > 0 &&
         std::ranges::any_of(world.tickets, [&](const auto& entry) {
           return entry.second.stage == TicketStage::running && entry.second.request.resident == id;
         });
}

// Whether the core itself loads or evicts it, or ends its process: the end of that decides.
bool is_moved_by_core(const World& world, const Resident& resident) {
  const bool loads = resident.state == Residency::loading && !resident.loads_by_itself;
  return loads || resident.state == Residency::unloading || is_process_ending(world, resident.consumer);
}

// The last reading may already include its bytes, as unattributed ones.
void attribute_as_warm(World& world, Resident& resident) {
  ConsumerState& consumer = world.registry[resident.consumer];
  resident.state = Residency::warm;
  for (const DeviceId device : devices_of(consumer.spec))
    attribute_measurement(world.registry, consumer, device);
}

void count_load(World& world, Effects& out, ResidentId id) {
  Resident& resident = world.registry[id];
  ++resident.costs.loads;  // when it began is not known, so its duration is not learned
  resident.transition_at = world.now;
  resident.last_used = world.now;
  out.emplace_back(CostsLearned{id, resident.costs});
}

// What is taken back of what was learned must be taken back in the store, too.
void distrust_siblings_of(World& world, Effects& out, ResidentId id) {
  const auto& observed = world.registry[world.registry[id].consumer].observed_load;
  if (!observed) return;
  const ResidentId sibling = observed->resident;
  const LearnedCosts before = world.registry[sibling].costs;
  distrust_siblings(world.registry, id, world.now);
  if (world.registry[sibling].costs != before)
    out.emplace_back(CostsLearned{sibling, world.registry[sibling].costs});
}

void become_warm(World& world, Effects& out, ResidentId id) {
  Resident& resident = world.registry[id];
  if (resident.state == Residency::warm) {
    if (std::exchange(resident.was_dropped, false)) count_load(world, out, id);
    return;
  }
  const bool was_loading = std::exchange(resident.loads_by_itself, false);
  distrust_siblings_of(world, out, id);
  if (!was_loading) {
    observe_found(world.registry, id);
    resident.keep_alive.reset();
  }
  resident.consecutive_failures = 0;
  resident.last_used = resident.transition_at = world.now;
  attribute_as_warm(world, resident);
  if (was_loading) count_load(world, out, id);
}

void become_loading(World& world, Effects& out, ResidentId id) {
  Resident& resident = world.registry[id];
  if (resident.state == Residency::warm && has_running_lease(world, id)) {
    resident.was_dropped = true;
    return;
  }
  resident.state = Residency::loading;
  resident.keep_alive.reset();
  resident.transition_at = world.now;
  distrust_siblings_of(world, out, id);
  observe_own_load(world.registry, id);
  attribute_as_warm(world, resident);
  resident.state = Residency::loading;
  resident.loads_by_itself = true;
  resident.was_dropped = false;
}

// cold or parked. The bytes that are still measured of it become unattributed.
void leave_device(World& world, Effects& out, ResidentId id, Residency state) {
  Resident& resident = world.registry[id];
  ConsumerState& consumer = world.registry[resident.consumer];
  if (resident.state == Residency::warm && has_running_lease(world, id)) {
    resident.was_dropped = true;
    return;
  }
  const bool held_memory = holds_memory(resident);
  const bool was_warm = std::exchange(resident.state, state) == Residency::warm;
  resident.loads_by_itself = resident.was_dropped = false;
  resident.warm_up_blocked = !consumer.spec.pinned && !consumer.spec.reserved;
  if (held_memory) {
    release_attribution(world.registry, consumer, resident.footprint);
    for (const DeviceId device : devices_of(consumer.spec)) request_reading(world, out, device);
  }
  drop_provisional_footprint(world.registry, id);
  if (!was_warm) return;
  report_if_loaded_in_vain(world, out, id);
  learn_departure(world.registry, id, true);
  out.emplace_back(CostsLearned{id, resident.costs});
}

void refuse_tickets_of(World& world, Effects& out, ResidentId id) {
  std::vector<TicketId> refused;
  for (const auto& [ticket_id, ticket] : world.tickets)
    if (ticket.stage != TicketStage::running && ticket.request.resident == id) refused.push_back(ticket_id);
  std::ranges::sort(refused);  // the order of effects must not depend on the hash order
  for (const TicketId ticket : refused)
    refuse_ticket(world, out, ticket, gone_error(world.registry, world.registry[id]));
}

bool is_self_load_on(const World& world, const Resident& resident, DeviceId device) {
  return resident.loads_by_itself && is_on_device(world.registry[resident.consumer].spec, device);
}

Instant expiry_of(const World& world, const Resident& resident) {
  return resident.transition_at + world.registry[resident.consumer].spec.load_limit;
}

// Whether a state of the core agrees with what was found.
bool agrees(const World& world, ResidentId id, Presence presence) {
  const Resident& resident = world.registry[id];
  switch (presence) {
    case Presence::cold:
    case Presence::gone:
      if (resident.state == Residency::warm) return resident.was_dropped && has_running_lease(world, id);
      return resident.state == Residency::cold || resident.state == Residency::failed;
    case Presence::parked:
      if (resident.state == Residency::warm) return resident.was_dropped && has_running_lease(world, id);
      return resident.state != Residency::loading;  // what it keeps in host memory while cold is its business
    case Presence::loading:
      if (resident.state == Residency::warm) return resident.was_dropped && has_running_lease(world, id);
      if (resident.state == Residency::failed) return world.now < resident.retry_at;
      return resident.state == Residency::loading;
    case Presence::warm:
      return resident.state == Residency::warm && !resident.was_dropped;
  }
  return true;
}

}  // namespace

bool is_news(const World& world, const ResidentFound& found) {
  const Resident& resident = world.registry[found.resident];
  if (resident.is_gone != (found.presence == Presence::gone)) return true;
  const auto eviction = world.evictions.find(found.resident);
  if (eviction != world.evictions.end())
    return eviction->second.has_left !=
           (found.presence == Presence::cold || found.presence == Presence::gone);
  return !is_moved_by_core(world, resident) && !agrees(world, found.resident, found.presence);
}

void apply_found(World& world, Effects& out, const ResidentFound& found) {
  const ResidentId id = found.resident;
  Resident& resident = world.registry[id];
  if (!is_news(world, found)) return;
  mark_line_dirty(world, world.registry[resident.consumer].spec);
  const bool has_left = found.presence == Presence::cold || found.presence == Presence::gone;
  resident.is_gone = found.presence == Presence::gone;
  if (resident.is_gone) refuse_tickets_of(world, out, id);
  if (const auto eviction = world.evictions.find(id); eviction != world.evictions.end())
    eviction->second.has_left = has_left;
  if (is_moved_by_core(world, resident) || agrees(world, id, found.presence)) return;
  if (has_left) return leave_device(world, out, id, Residency::cold);
  if (found.presence == Presence::parked) return leave_device(world, out, id, Residency::parked);
  if (found.presence == Presence::loading) return become_loading(world, out, id);
  become_warm(world, out, id);
}

bool has_self_load(const World& world, DeviceId device) {
  return std::ranges::any_of(world.registry.residents, [&](const Resident& resident) {
    return is_self_load_on(world, resident, device);
  });
}

void expire_self_loads(World& world, DeviceId device) {
  for (Resident& resident : world.registry.residents) {
    if (!is_self_load_on(world, resident, device) || world.now < expiry_of(world, resident)) continue;
    const Consumer& spec = world.registry[resident.consumer].spec;
    resident.loads_by_itself = false;
    resident.state = Residency::failed;
    resident.last_error = {ErrorCode::load_failed,
                           spec.name + ": a load of " + resident.ai_model +
                               " that the daemon did not ask for has not ended within load_limit (" +
                               to_rounded_string(spec.load_limit) + ")"};
    resident.retry_at = world.now + world.limits.retry_backoff_max;
    mark_line_dirty(world, spec);
  }
}

Instant next_self_load_expiry(const World& world, DeviceId device) {
  Instant next = kNever;
  for (const Resident& resident : world.registry.residents)
    if (is_self_load_on(world, resident, device)) next = std::min(next, expiry_of(world, resident));
  return next;
}

Error gone_error(const Registry& registry, const Resident& resident) {
  return {ErrorCode::not_found, registry[resident.consumer].spec.name + " no longer has the AI model " +
                                    resident.ai_model + ": it was deleted or renamed there"};
}

}  // namespace mgpu
