// What happens in a line, in the order of advance_line:
//
// 1. Evictions in progress advance (sched/eviction_ladder.h).
// 2. Preparing tickets advance: make room, wait until it is seen free, load, grant.
// 3. The next tickets (sched/line_order.h) are promised their turn and memory, if room can be made for them.
// 4. Turnless tickets, which have queues of their own, likewise; they need memory, but no turn.
// 5. The resident of the next ticket is loaded ahead while leases run, if it fits beside them.
// 6. Residents are evicted without a ticket: if foreign memory has grown, or after their idle time.
// 7. A resident is warmed up without a ticket, if one is expected soon (sched/warm_up.h).
#include "sched/advance_line.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "base/assert.h"
#include "plan/victim_selection.h"
#include "sched/eviction_ladder.h"
#include "sched/found_state.h"
#include "sched/line_order.h"
#include "sched/load_expectation.h"
#include "sched/transitions.h"
#include "sched/warm_up.h"

namespace mgpu {
namespace {

enum class RoomState { available, pending, blocked };

constexpr std::size_t kMaxOvertakenReported = 100;  // limits the size of an Overtook

// Whether the last reading is fresh enough to load or reserve on it, and shows the latest load. Requests a
// new one if not.
bool ensure_fresh_reading(World& world, Effects& out, DeviceId device) {
  const Reading& reading = world.registry.readings[device.value];
  const bool is_fresh = reading.taken_at > world.lines[device.value].loaded_at &&
                        reading.taken_at + world.limits.reading_age >= world.now;
  if (!is_fresh && !world.lines[device.value].is_reading_pending) request_reading(world, out, device);
  return is_fresh && !reading.lost;
}

// Whether the headroom suffices without the memory of just ended leases, or a reading has shown that free.
// Requests a reading if not.
bool ensure_returned_seen(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  if (line.returned_bytes == Bytes{} || headroom(world.registry, device) >= line.returned_bytes) return true;
  if (!line.is_reading_pending) request_reading(world, out, device);
  return false;
}

// Starts the evictions of a plan. A split victim may be in progress already, for another of its devices.
void execute_plan(World& world, Effects& out, Planned plan) {
  const std::vector<ResidentId> victims = plan.victims;
  const PlanReason reason = plan.reason;
  out.emplace_back(std::move(plan));
  for (const ResidentId victim : victims)
    if (world.registry[victim].state == Residency::warm) begin_eviction(world, out, victim, reason);
}

// Whether `condition` holds on all devices. Unlike all_of it evaluates every device, so that all missing
// readings are requested at once.
template <class Condition>
bool check_all_devices(std::span<const DeviceId> devices, Condition condition) {
  return std::ranges::count_if(devices, condition) == std::ssize(devices);
}

// Whether the readings of all devices are good enough to grant a lease on them, or, with `takes_memory`, to
// load or to reserve memory. Requests those that are not.
bool ensure_readings(World& world, Effects& out, std::span<const DeviceId> devices, bool takes_memory) {
  return check_all_devices(devices, [&](DeviceId device) {
    return ensure_returned_seen(world, out, device) &&
           (!takes_memory || ensure_fresh_reading(world, out, device));
  });
}

// Plans evictions for all promises on the devices and starts them, once readings show what their latest loads
// have taken. If one of the devices can't make enough room (`blocked`), nothing is evicted on any. Residents
// that tickets wait for are not evicted for PlanReason::ahead.
RoomState make_room(World& world, Effects& out, std::span<const DeviceId> devices, PlanReason reason,
                    std::optional<TicketId> ticket) {
  RoomState room = RoomState::available;
  std::vector<Planned> plans;
  for (const DeviceId device : devices) {
    const Bytes available = headroom(world.registry, device);
    if (available >= Bytes{}) continue;
    room = RoomState::pending;
    const Bytes deficit = Bytes{} - available - pending_yield(world, device);
    if (deficit <= Bytes{}) continue;
    std::vector<EvictionCandidate> candidates = eviction_candidates(world.registry, device, world.now);
    if (reason == PlanReason::ahead)
      std::erase_if(candidates, [&](const EvictionCandidate& candidate) {
        return world.registry[candidate.resident].waiting > 0;
      });
    if (!choose_victims(candidates, deficit)) return RoomState::blocked;
    plans.push_back({.device = device,
                     .reason = reason,
                     .ticket = ticket,
                     .victims = chosen_victims(candidates),
                     .needed = Bytes{} - available,
                     .headroom = available,
                     .considered = std::move(candidates)});
  }
  // The latest load may have taken less, or more, than is expected: only a reading tells what must leave.
  bool is_load_unseen = false;
  for (const Planned& plan : plans) {
    if (is_latest_load_seen(world, plan.device)) continue;
    is_load_unseen = true;
    if (!world.lines[plan.device.value].is_reading_pending) request_reading(world, out, plan.device);
  }
  if (is_load_unseen) return room;
  for (Planned& plan : plans) execute_plan(world, out, std::move(plan));
  return room;
}

// Whether the room can change without a decision of the scheduler: a load, lease or eviction may end.
bool can_room_change(const World& world, const Ticket& ticket) {
  return std::ranges::any_of(devices_of(world.registry, ticket.request), [&](DeviceId device) {
    const LineState& line = world.lines[device.value];
    return line.loading || has_self_load(world, device) || line.running_leases > 0 ||
           has_evictions(world, device) || is_device_paused(world, device) ||
           !is_latest_load_seen(world, device);
  });
}

// The error of a ticket for which the scheduler can't make room.
Error no_room_error(const World& world, const Ticket& ticket) {
  const Registry& registry = world.registry;
  std::string names;
  Bytes foreign, committed;
  for (const DeviceId device : devices_of(registry, ticket.request)) {
    const std::string& name = registry.devices[device.value].name;
    if (registry.readings[device.value].lost)
      return {ErrorCode::device_lost, "the driver does not answer for device " + name};
    names += (names.empty() ? "" : " and ") + name;
    foreign += registry.readings[device.value].foreign;
    committed += committed_bytes(registry, device);
  }
  return {ErrorCode::no_room,
          "no room on " + names + " within " + to_rounded_string(world.limits.room_limit) +
              " (limits.room_limit): foreign programs hold " + to_string(foreign) + ", and of the " +
              to_string(committed) +
              " committed to consumers not enough can be evicted (pinned, or without a rung)"};
}

// Refuses a ticket that has been stuck for room_limit. Returns whether it did.
bool refuse_if_stuck(World& world, Effects& out, Ticket& ticket) {
  if (can_room_change(world, ticket)) {
    ticket.stuck_since.reset();
    return false;
  }
  if (!ticket.stuck_since) ticket.stuck_since = world.now;
  if (world.now < *ticket.stuck_since + world.limits.room_limit) return false;
  refuse_ticket(world, out, ticket.id, no_room_error(world, ticket));
  return true;
}

// Refuses a ticket whose resident is gone, or failed to load, until its retry_at. Returns whether it did.
bool refuse_if_not_loadable(World& world, Effects& out, const Ticket& ticket) {
  if (!ticket.request.resident) return false;
  const Resident& resident = world.registry[*ticket.request.resident];
  if (resident.is_gone) {
    refuse_ticket(world, out, ticket.id, gone_error(world.registry, resident));
    return true;
  }
  if (resident.state != Residency::failed || world.now >= resident.retry_at) return false;
  refuse_ticket(world, out, ticket.id, resident.last_error, resident.retry_at - world.now);
  return true;
}

bool must_wait_to_load(const World& world, const Resident& resident) {
  const ConsumerState& consumer = world.registry[resident.consumer];
  return has_resident_in(world.registry, consumer, Residency::unloading) ||
         std::ranges::any_of(devices_of(consumer.spec), [&](DeviceId device) {
           return world.lines[device.value].loading || is_device_paused(world, device);
         });
}

bool is_moving(const Resident& resident) {
  return resident.state == Residency::loading || resident.state == Residency::unloading;
}

// Advances a preparing ticket as far as possible now.
void advance_ticket(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  const auto devices = devices_of(world.registry, ticket.request);
  if (refuse_if_not_loadable(world, out, ticket)) return;
  Resident* resident = ticket.request.resident ? &world.registry[*ticket.request.resident] : nullptr;
  if (resident && is_moving(*resident)) return;
  const bool needs_load = resident && resident->state != Residency::warm;
  if (needs_load && must_wait_to_load(world, *resident)) return;
  if (needs_load) set_load_expectation(world, *ticket.request.resident);

  const RoomState room = make_room(world, out, devices, PlanReason::ticket, id);
  if (room == RoomState::blocked) {
    refuse_if_stuck(world, out, ticket);
    return;
  }
  if (room == RoomState::pending) return;
  const bool takes_memory = needs_load || !resident;  // a warm resident has its memory already
  if (!ensure_readings(world, out, devices, takes_memory)) {
    refuse_if_stuck(world, out, ticket);
    return;
  }
  ticket.stuck_since.reset();
  if (needs_load) {
    start_load(world, out, *ticket.request.resident, id);
  } else {
    grant_ticket(world, out, ticket);
  }
}

// Advances the load ahead of a waiting ticket. The claim is dropped if no room can be made for it.
void advance_claim(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  const Resident& resident = world.registry[*ticket.request.resident];
  if (resident.state == Residency::warm || is_moving(resident)) return;
  if (refuse_if_not_loadable(world, out, ticket)) return;
  if (must_wait_to_load(world, resident)) return;
  const auto devices = devices_of(world.registry, ticket.request);
  const RoomState room = make_room(world, out, devices, PlanReason::ahead, id);
  if (room == RoomState::blocked) return drop_claim(world, ticket);
  if (room == RoomState::available && ensure_readings(world, out, devices, true))
    start_load(world, out, *ticket.request.resident, id);
}

// Records that `served` overtook all tickets due before it. The overtake bound of those that are overtaken
// for the first time starts now.
void record_overtaking(World& world, Effects& out, LineState& line, const Ticket& served,
                       OvertakeReason reason) {
  const LinePlace place{served.due, served.id};
  if (line.waiting.empty() || place < *line.waiting.begin()) return;
  Overtook overtook{.ticket = served.id, .reason = reason};
  for (const LinePlace& waiting : line.waiting) {
    if (waiting >= place || overtook.overtaken.size() == kMaxOvertakenReported) break;
    overtook.overtaken.push_back(waiting.ticket);
  }
  while (!line.never_overtaken.empty() && *line.never_overtaken.begin() < place) {
    Ticket& overtaken = *find_ticket(world, line.never_overtaken.begin()->ticket);
    const LinePlace overtaken_place{overtaken.due, overtaken.id};
    overtaken.overtake_until = world.now + overtake_bound(world, overtaken);
    for (const DeviceId device : devices_of(world.registry, overtaken.request)) {
      LineState& overtaken_line = world.lines[device.value];
      overtaken_line.never_overtaken.erase(overtaken_place);
      overtaken_line.overtake_deadlines.emplace(overtaken.overtake_until, overtaken_place);
    }
  }
  update_statistics(line.statistics, statistics_event::Overtaken{});
  out.emplace_back(overtook);
}

// Promises the ticket its turn and memory, if room can be made. Returns whether the line has changed, so that
// another ticket may be next.
bool serve_ticket(World& world, Effects& out, const NextTurn& next) {
  Ticket& ticket = *find_ticket(world, next.ticket);
  if (refuse_if_not_loadable(world, out, ticket)) return true;
  make_promise(world, ticket);
  if (const auto id = ticket.request.resident; id && !holds_memory(world.registry[*id]))
    set_load_expectation(world, *id);
  const auto devices = devices_of(world.registry, ticket.request);
  if (make_room(world, out, devices, PlanReason::ticket, next.ticket) == RoomState::blocked) {
    withdraw_promise(world, ticket);
    return refuse_if_stuck(world, out, ticket);
  }
  ticket.stuck_since.reset();
  for (const DeviceId device : devices) {
    LineState& line = world.lines[device.value];
    if (next.reason || devices.size() > 1)
      record_overtaking(world, out, line, ticket, next.reason.value_or(OvertakeReason::other_device));
    // The served ticket will free its memory, so the first ticket is not stuck: its room_limit starts again.
    if (!line.waiting.empty()) find_ticket(world, line.waiting.begin()->ticket)->stuck_since.reset();
  }
  advance_ticket(world, out, next.ticket);
  return true;
}

// The first turnless ticket of each consumer, ordered by due time.
std::vector<LinePlace> turnless_heads(const LineState& line) {
  std::vector<LinePlace> heads;
  for (const auto& [consumer, queue] : line.turnless_queues) heads.push_back(*queue.begin());
  std::ranges::sort(heads);
  return heads;
}

// Whether turnless tickets that fit may overtake a turnless one that waits for memory: never under fifo,
// otherwise for its overtake bound. Without a bound, a stream of small tickets could starve it.
bool can_be_overtaken(const World& world, Ticket& ticket) {
  if (world.limits.policy == Policy::fifo) return false;
  if (ticket.overtake_until == kNever) ticket.overtake_until = world.now + overtake_bound(world, ticket);
  return world.now < ticket.overtake_until;
}

// Serves a turnless ticket. One that waits only because of its consumer's concurrency delays no other
// consumer. Returns whether the line has changed.
bool serve_turnless(World& world, Effects& out, DeviceId device) {
  bool is_barred = false;
  for (const LinePlace& head : turnless_heads(world.lines[device.value])) {
    Ticket& ticket = *find_ticket(world, head.ticket);
    if (is_barred || !can_take_turn(world, ticket)) {
      ticket.stuck_since.reset();
      continue;
    }
    if (serve_ticket(world, out, {ticket.id})) return true;
    is_barred = !can_be_overtaken(world, ticket);
  }
  return false;
}

// Refuses the first ticket if it could take a turn, but has been stuck without memory for room_limit. Under
// fifo serve_ticket has done that already. Returns whether it did.
bool refuse_first_if_stuck(World& world, Effects& out, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (line.waiting.empty()) return false;
  Ticket& first = *find_ticket(world, line.waiting.begin()->ticket);
  if (can_take_turn(world, first)) {
    if (world.limits.policy != Policy::fifo) return refuse_if_stuck(world, out, first);
  } else {
    first.stuck_since.reset();
  }
  return false;
}

void start_loads_ahead(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  const std::vector<TicketId> claims(line.claims.begin(), line.claims.end());
  for (const TicketId id : claims)
    if (find_ticket(world, id)) advance_claim(world, out, id);
  if (const auto next = next_to_load_ahead(world, device)) {
    claim_resident(world, *find_ticket(world, *next));
    advance_claim(world, out, *next);
  }
  if (const auto next = next_to_read_ahead(world, device)) {
    world.registry[*next].was_read_ahead = true;
    out.emplace_back(ReadAhead{*next});
  }
}

// Loads the next resident without a ticket (sched/warm_up.h). If residents must be evicted for it, the load
// is decided anew when readings show their memory free.
void start_warm_up(World& world, Effects& out, DeviceId device) {
  const auto next = next_to_warm_up(world, device);
  if (!next) return;
  const Resident& resident = world.registry[*next];
  const Consumer& spec = world.registry[resident.consumer].spec;
  const auto has_fresh_reading = [&](DeviceId id) { return ensure_fresh_reading(world, out, id); };
  if (!check_all_devices(devices_of(spec), has_fresh_reading)) return;
  std::vector<Planned> plans;
  for (const DeviceId id : devices_of(spec)) {
    const Bytes deficit = device_part(spec, id, resident.footprint) - headroom(world.registry, id);
    if (deficit <= Bytes{}) continue;
    std::vector<EvictionCandidate> candidates = less_valuable_candidates(world, id, *next);
    if (!choose_victims(candidates, deficit)) return;
    plans.push_back({.device = id,
                     .reason = PlanReason::ahead,
                     .victims = chosen_victims(candidates),
                     .needed = deficit,
                     .headroom = headroom(world.registry, id),
                     .considered = std::move(candidates)});
  }
  if (plans.empty()) return start_load(world, out, *next, std::nullopt);
  for (Planned& plan : plans) execute_plan(world, out, std::move(plan));
}

// Evicts all of `victims`, without a ticket that needs the room.
void evict_all(World& world, Effects& out, DeviceId device, PlanReason reason,
               std::vector<ResidentId> victims, Bytes needed = {}) {
  if (victims.empty()) return;
  execute_plan(world, out,
               {.device = device,
                .reason = reason,
                .victims = std::move(victims),
                .needed = needed,
                .headroom = headroom(world.registry, device)});
}

// When it has been idle for long enough; kNever while tickets wait for it.
Instant idle_until(const World& world, const Resident& resident) {
  const std::optional<Duration> limit = idle_limit(world.registry, resident);
  return limit && resident.waiting == 0 ? resident.last_used + *limit : kNever;
}

bool is_idle_too_long(const World& world, const Resident& resident) {
  return world.now >= idle_until(world, resident) &&
         is_eviction_candidate(world.registry, resident, world.now);
}

void evict_idle_residents(World& world, Effects& out, DeviceId device) {
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    if (is_idle_too_long(world, resident) && world.registry[resident.consumer].spec.device == device)
      evict_all(world, out, device, PlanReason::idle, {ResidentId{i}});
  }
}

// The residents on the device for which `is_eligible` (can_be_evicted or is_eviction_candidate) holds.
template <class Predicate>
std::vector<ResidentId> residents_on(const World& world, DeviceId device, Predicate is_eligible) {
  std::vector<ResidentId> found;
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    if (is_on_device(world.registry[resident.consumer].spec, device) &&
        is_eligible(world.registry, resident, world.now))
      found.push_back(ResidentId{i});
  }
  return found;
}

// A program of `yield_to` has the device: all idle residents are evicted, pinned ones too.
void yield_device(World& world, Effects& out, DeviceId device) {
  evict_all(world, out, device, PlanReason::yielded, residents_on(world, device, can_be_evicted));
}

// Foreign memory has grown, or a resident has outgrown its footprint: idle residents make room.
void relieve_pressure(World& world, Effects& out, DeviceId device) {
  if (world.registry.readings[device.value].taken_at == Instant{}) return;  // no reading yet
  const Bytes deficit = Bytes{} - headroom(world.registry, device) - pending_yield(world, device);
  if (deficit <= Bytes{} ||
      make_room(world, out, {&device, 1}, PlanReason::pressure, std::nullopt) != RoomState::blocked)
    return;
  // All of them are not enough to restore the reserve, but each eviction reduces the deficit.
  evict_all(world, out, device, PlanReason::pressure, residents_on(world, device, is_eviction_candidate),
            deficit);
}

}  // namespace

void advance_line(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  expire_self_loads(world, device);
  advance_evictions(world, out, device);
  if (line.unverified_since) return;  // no decisions before a reading shows what a crash left behind
  if (world.registry.readings[device.value].yielded) return yield_device(world, out, device);
  const std::vector<TicketId> promised(line.preparing.begin(), line.preparing.end());
  for (const TicketId id : promised)
    if (find_ticket(world, id)) advance_ticket(world, out, id);
  do {
    for (auto next = next_for_turn(world, device); next && serve_ticket(world, out, *next);)
      next = next_for_turn(world, device);
  } while (refuse_first_if_stuck(world, out, device));
  while (serve_turnless(world, out, device)) {
  }
  start_loads_ahead(world, out, device);
  if (line.preparing.empty()) relieve_pressure(world, out, device);
  evict_idle_residents(world, out, device);
  start_warm_up(world, out, device);
}

Instant next_wakeup(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  Instant next = next_self_load_expiry(world, device);
  for (const auto& [id, eviction] : world.evictions)
    if (is_on_device(world.registry[world.registry[id].consumer].spec, device))
      next = std::min(next, eviction.rung_deadline);
  if (line.unverified_since) return next;
  if (world.registry.readings[device.value].yielded) {
    for (const Resident& resident : world.registry.residents)
      if (resident.eviction_retry_at > world.now) next = std::min(next, resident.eviction_retry_at);
    return next;
  }
  const auto wake_if_stuck = [&](TicketId id) {
    if (const Ticket& ticket = world.tickets.at(id); ticket.stuck_since && !can_room_change(world, ticket))
      next = std::min(next, *ticket.stuck_since + world.limits.room_limit);
  };
  std::ranges::for_each(line.preparing, wake_if_stuck);
  if (!line.waiting.empty()) wake_if_stuck(line.waiting.begin()->ticket);
  for (const auto& [consumer, queue] : line.turnless_queues) wake_if_stuck(queue.begin()->ticket);
  const bool has_waiting_tickets = !line.waiting.empty() || !line.turnless.empty() || !line.preparing.empty();
  for (const Resident& resident : world.registry.residents) {
    const ConsumerState& consumer = world.registry[resident.consumer];
    const bool is_primary_device = consumer.spec.device == device;  // only this line evicts it when idle
    const Instant idle_end = is_primary_device ? idle_until(world, resident) : kNever;
    const bool eviction_failed = resident.eviction_retry_at > world.now;
    if ((idle_end == kNever && !eviction_failed) || !is_on_device(consumer.spec, device)) continue;
    const Instant evictable_at = std::max(world.now, resident.eviction_retry_at);
    if (!is_eviction_candidate(world.registry, resident, evictable_at)) continue;
    if (eviction_failed && has_waiting_tickets) next = std::min(next, evictable_at);
    if (idle_end != kNever) next = std::min(next, std::max(idle_end, evictable_at));
  }
  return next;
}

}  // namespace mgpu
