// The story of a line:
//
// Evictions climb their ladders. Whoever was promised its room goes on: evict, see the memory free, load,
// grant. Then whoever is next (sched/line_order.h) is promised its room, if there is a turn for it and a plan
// that can succeed. Turnless tickets form a lane of their own: they wait for memory, never for turns. While
// the others compute, the next one's resident is loaded ahead, if it fits beside them. When foreign memory
// presses, or a resident was idle for as long as it may be, residents leave with nobody waiting for it; and
// where somebody is expected soon, a resident comes with nobody waiting for it.
#include "sched/advance_line.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "base/assert.h"
#include "plan/victim_selection.h"
#include "sched/eviction_ladder.h"
#include "sched/line_order.h"
#include "sched/transitions.h"
#include "sched/warm_up.h"

namespace mgpu {
namespace {

enum class RoomState { available, pending, blocked };

constexpr std::size_t kMaxOvertakenReported = 100;  // more are not told one by one

bool ensure_fresh_reading(World& world, Effects& out, DeviceId device) {
  const Reading& reading = world.registry.readings[device.value];
  const bool fresh = reading.taken_at > Instant{} && reading.taken_at + world.limits.reading_age >= world.now;
  if (!fresh && !world.lines[device.value].is_reading_pending) request_reading(world, out, device);
  return fresh && !reading.lost;
}

// Where room is so short that it counts on what a job has just given back, the driver must have shown that
// free.
bool ensure_returned_seen(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  if (line.returned_bytes == Bytes{} || headroom(world.registry, device) >= line.returned_bytes) return true;
  if (!line.is_reading_pending) request_reading(world, out, device);
  return false;
}

// A victim that is split may have been chosen on another of its devices already.
void execute_plan(World& world, Effects& out, Planned plan) {
  const std::vector<ResidentId> victims = plan.victims;
  const PlanReason reason = plan.reason;
  out.emplace_back(std::move(plan));
  for (const ResidentId victim : victims)
    if (world.registry[victim].state == Residency::warm) begin_eviction(world, out, victim, reason);
}

// All of them are asked for at once what they lack.
template <class Condition>
bool check_all_devices(std::span<const DeviceId> devices, Condition condition) {
  return std::ranges::count_if(devices, condition) == std::ssize(devices);
}

// Makes room for all promises of the devices, or says that it can't be made now: on all of them, or nobody
// leaves. Ahead of somebody's turn nobody leaves for whom others wait.
RoomState make_room(World& world, Effects& out, std::span<const DeviceId> devices, PlanReason reason,
                    std::optional<TicketId> ticket) {
  RoomState room = RoomState::available;
  std::vector<Planned> plans;
  for (const DeviceId device : devices) {
    const Bytes space = headroom(world.registry, device);
    if (space >= Bytes{}) continue;
    room = RoomState::pending;
    const Bytes deficit = Bytes{} - space - pending_yield(world, device);
    if (deficit <= Bytes{}) continue;
    std::vector<EvictionCandidate> candidates = eviction_candidates(world.registry, device, world.now);
    if (reason == PlanReason::ahead)
      std::erase_if(candidates,
                    [&](const EvictionCandidate& c) { return world.registry[c.resident].waiting > 0; });
    if (!choose_victims(candidates, deficit)) return RoomState::blocked;
    plans.push_back({.device = device,
                     .reason = reason,
                     .ticket = ticket,
                     .victims = chosen_victims(candidates),
                     .needed = Bytes{} - space,
                     .headroom = space,
                     .considered = std::move(candidates)});
  }
  for (Planned& plan : plans) execute_plan(world, out, std::move(plan));
  return room;
}

// Whether something is under way or held that can change the room without us.
bool can_room_change(const World& world, const Ticket& ticket) {
  return std::ranges::any_of(devices_of(world.registry, ticket.request), [&](DeviceId device) {
    const LineState& line = world.lines[device.value];
    return line.loading || line.running_leases > 0 || has_evictions(world, device) ||
           is_device_paused(world, device);
  });
}

// What stands in the way of a ticket that nothing of ours can help.
Error no_room_error(const World& world, const Ticket& ticket) {
  const Registry& registry = world.registry;
  std::string names;
  Bytes foreign, taken;
  for (const DeviceId device : devices_of(registry, ticket.request)) {
    const std::string& name = registry.devices[device.value].name;
    if (registry.readings[device.value].lost)
      return {ErrorCode::device_lost, "the driver does not answer for " + name};
    names += (names.empty() ? "" : " and ") + name;
    foreign += registry.readings[device.value].foreign;
    taken += committed_bytes(registry, device);
  }
  return {ErrorCode::no_room, "no room on " + names + ": foreign programs hold " + to_string(foreign) +
                                  ", pinned or unmovable consumers the rest of " + to_string(taken) +
                                  " committed"};
}

// Refuses a ticket whose way is blocked by what isn't ours to move, once room_limit has passed.
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

// A resident whose last load failed is not tried again before its pause is over; those who ask meanwhile are
// told.
bool refuse_if_load_failed(World& world, Effects& out, const Ticket& ticket) {
  if (!ticket.request.resident) return false;
  const Resident& resident = world.registry[*ticket.request.resident];
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

// One preparing ticket: as far as it goes now.
void advance_ticket(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  const auto devices = devices_of(world.registry, ticket.request);
  if (refuse_if_load_failed(world, out, ticket)) return;
  Resident* resident = ticket.request.resident ? &world.registry[*ticket.request.resident] : nullptr;
  if (resident && is_moving(*resident)) return;
  const bool to_load = resident && resident->state != Residency::warm;
  if (to_load && must_wait_to_load(world, *resident)) return;

  const RoomState room = make_room(world, out, devices, PlanReason::ticket, id);
  if (room == RoomState::blocked) {
    refuse_if_stuck(world, out, ticket);
    return;
  }
  if (room == RoomState::pending) return;
  // A warm resident has its memory already; whoever is about to take memory needs numbers of now.
  const bool takes_memory = to_load || !resident;
  const auto is_known = [&](DeviceId device) {
    return ensure_returned_seen(world, out, device) &&
           (!takes_memory || ensure_fresh_reading(world, out, device));
  };
  if (!check_all_devices(devices, is_known)) {
    refuse_if_stuck(world, out, ticket);
    return;
  }
  ticket.stuck_since.reset();
  if (to_load) {
    start_load(world, out, *ticket.request.resident, id);
  } else {
    grant_ticket(world, out, ticket);
  }
}

// One whose resident is loaded ahead of its turn: likewise, but nobody waits for room on its account.
void advance_claim(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  const Resident& resident = world.registry[*ticket.request.resident];
  if (resident.state == Residency::warm || is_moving(resident)) return;
  if (refuse_if_load_failed(world, out, ticket)) return;
  if (must_wait_to_load(world, resident)) return;
  const auto devices = devices_of(world.registry, ticket.request);
  const RoomState room = make_room(world, out, devices, PlanReason::ahead, id);
  if (room == RoomState::blocked) return drop_claim(world, ticket);
  const auto is_known = [&](DeviceId device) {
    return ensure_returned_seen(world, out, device) && ensure_fresh_reading(world, out, device);
  };
  if (room == RoomState::available && check_all_devices(devices, is_known))
    start_load(world, out, *ticket.request.resident, id);
}

// Everybody due before `attempt_counts` was passed by it: from now on each bears that only so long.
void record_overtaking(World& world, Effects& out, LineState& line, const Ticket& served,
                       OvertakeReason reason) {
  const LinePlace place{served.due, served.id};
  if (line.waiting.empty() || place < *line.waiting.begin()) return;
  Overtook overtook{.ticket = served.id, .reason = reason};
  for (auto passed = line.waiting.begin(); passed != line.waiting.end() && *passed < place; ++passed)
    if (overtook.overtaken.emplace_back(passed->ticket), overtook.overtaken.size() == kMaxOvertakenReported)
      break;
  while (!line.never_overtaken.empty() && *line.never_overtaken.begin() < place) {
    Ticket& passed = *find_ticket(world, line.never_overtaken.begin()->ticket);
    passed.overtake_until = world.now + overtake_bound(world, passed);
    for (const DeviceId device : devices_of(world.registry, passed.request)) {
      LineState& overtaken_line = world.lines[device.value];
      overtaken_line.never_overtaken.erase({passed.due, passed.id});
      overtaken_line.overtake_deadlines.emplace(passed.overtake_until, LinePlace{passed.due, passed.id});
    }
  }
  update_statistics(line.statistics, fact::Overtaken{});
  out.emplace_back(overtook);
}

// Promises the ticket its room, if a plan can succeed. Returns whether the line moved, so that the next may
// be looked at.
bool serve_ticket(World& world, Effects& out, const NextTurn& next) {
  Ticket& ticket = *find_ticket(world, next.ticket);
  if (refuse_if_load_failed(world, out, ticket)) return true;
  make_promise(world, ticket);
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
    // What begins here may end in room for whoever is first: what nobody can move is waited for anew.
    if (!line.waiting.empty()) find_ticket(world, line.waiting.begin()->ticket)->stuck_since.reset();
  }
  advance_ticket(world, out, next.ticket);
  return true;
}

// The first ticket of each consumer that wants no turn, who is due first foremost.
std::vector<LinePlace> turnless_heads(const LineState& line) {
  std::vector<LinePlace> heads;
  for (const auto& [consumer, queue] : line.turnless_queues) heads.push_back(*queue.begin());
  std::ranges::sort(heads);
  return heads;
}

// One that waits for memory is passed by those that fit, under fifo by nobody, else only for so long: small
// ones that come all the time would keep it waiting for ever.
bool can_be_overtaken(const World& world, Ticket& ticket) {
  if (world.limits.policy == Policy::fifo) return false;
  if (ticket.overtake_until == kNever) ticket.overtake_until = world.now + overtake_bound(world, ticket);
  return world.now < ticket.overtake_until;
}

// The first of those that want no turn. Whoever waits for others of its own consumer holds up nobody else.
bool serve_turnless(World& world, Effects& out, DeviceId device) {
  bool barred = false;
  for (const LinePlace& head : turnless_heads(world.lines[device.value])) {
    Ticket& ticket = *find_ticket(world, head.ticket);
    if (barred || !can_take_turn(world, ticket)) {
      ticket.stuck_since.reset();
      continue;
    }
    if (serve_ticket(world, out, {ticket.id})) return true;
    barred = !can_be_overtaken(world, ticket);
  }
  return false;
}

// Who stands first and could have a turn waits for memory alone. If nothing of ours can change that, not for
// ever. (A fifo line has tried to serve it, and counts there.)
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

// Somebody is expected: followers of those at work, reserved and pinned ones, those usual at this hour. They
// come in beside what is there; reserved and pinned ones also for what is worth less. Their room is made
// first, their load begins when the room is seen, if it is still wanted then.
void start_warm_up(World& world, Effects& out, DeviceId device) {
  const auto next = next_to_warm_up(world, device);
  if (!next) return;
  const Resident& resident = world.registry[*next];
  const Consumer& spec = world.registry[resident.consumer].spec;
  if (!check_all_devices(devices_of(spec),
                         [&](DeviceId one) { return ensure_fresh_reading(world, out, one); }))
    return;
  std::vector<Planned> plans;
  for (const DeviceId one : devices_of(spec)) {
    const Bytes deficit = device_part(spec, one, resident.footprint) - headroom(world.registry, one);
    if (deficit <= Bytes{}) continue;
    std::vector<EvictionCandidate> candidates = less_valuable_candidates(world, one, *next);
    if (!choose_victims(candidates, deficit)) return;
    plans.push_back({.device = one,
                     .reason = PlanReason::ahead,
                     .victims = chosen_victims(candidates),
                     .needed = deficit,
                     .headroom = headroom(world.registry, one),
                     .considered = std::move(candidates)});
  }
  if (plans.empty()) return start_load(world, out, *next, std::nullopt);
  for (Planned& plan : plans) execute_plan(world, out, std::move(plan));
}

// With nobody waiting for it: all of them, without a choice.
void evict_victims(World& world, Effects& out, DeviceId device, PlanReason reason,
                   std::vector<ResidentId> victims, Bytes needed = {}) {
  if (victims.empty()) return;
  execute_plan(world, out,
               {.device = device,
                .reason = reason,
                .victims = std::move(victims),
                .needed = needed,
                .headroom = headroom(world.registry, device)});
}

bool is_idle_too_long(const World& world, const Resident& resident) {
  const Duration allowed = world.registry[resident.consumer].spec.idle_unload;
  return allowed > Duration{0} && world.now >= resident.last_used + allowed &&
         is_eviction_candidate(world.registry, resident, world.now);
}

void evict_idle_residents(World& world, Effects& out, DeviceId device) {
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    if (is_idle_too_long(world, resident) && world.registry[resident.consumer].spec.device == device)
      evict_victims(world, out, device, PlanReason::idle, {ResidentId{i}});
  }
}

// Those on the device of whom `is_eligible` (can_be_evicted or is_eviction_candidate) says so.
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

// A foreign program has the device now: nothing new begins, and whoever is idle leaves, pinned or not, since
// the user said so (yield_to).
void yield_device(World& world, Effects& out, DeviceId device) {
  evict_victims(world, out, device, PlanReason::yielded, residents_on(world, device, can_be_evicted));
}

// Foreign memory grew, or a resident outgrew its footprint: idle residents make room, all that helps.
void relieve_pressure(World& world, Effects& out, DeviceId device) {
  if (world.registry.readings[device.value].taken_at == Instant{}) return;  // nothing is known yet
  const Bytes deficit = Bytes{} - headroom(world.registry, device) - pending_yield(world, device);
  if (deficit <= Bytes{} ||
      make_room(world, out, {&device, 1}, PlanReason::pressure, std::nullopt) != RoomState::blocked)
    return;
  // Not enough to reach the reserve again, but each that leaves brings it nearer.
  evict_victims(world, out, device, PlanReason::pressure, residents_on(world, device, is_eviction_candidate),
                deficit);
}

}  // namespace

void advance_line(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  advance_evictions(world, out, device);
  if (line.unverified_since)
    return;  // nobody takes memory before the driver has said what a crash left behind
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
  Instant next = kNever;
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
  const bool someone_waits = !line.waiting.empty() || !line.turnless.empty() || !line.preparing.empty();
  for (const Resident& resident : world.registry.residents) {
    const ConsumerState& consumer = world.registry[resident.consumer];
    const bool on_primary_device =
        consumer.spec.device == device;  // its home line is the one that lets it go when idle
    const Duration allowed = on_primary_device ? consumer.spec.idle_unload : Duration{0};
    const bool eviction_failed = resident.eviction_retry_at > world.now;
    if ((allowed == Duration{0} && !eviction_failed) || !is_on_device(consumer.spec, device)) continue;
    const Instant evictable_at =
        std::max(world.now, resident.eviction_retry_at);  // when it is a candidate, all else equal
    if (!is_eviction_candidate(world.registry, resident, evictable_at)) continue;
    if (eviction_failed && someone_waits) next = std::min(next, evictable_at);
    if (allowed > Duration{0}) next = std::min(next, std::max(resident.last_used + allowed, evictable_at));
  }
  return next;
}

}  // namespace mgpu
