// The story of a line, under policy fifo:
//
// Evictions climb their ladders. Whoever was promised its room goes on: evict, see the memory free, load,
// grant. Then the head of the line is promised its room, if there is a turn for it and a plan that can
// succeed; nobody overtakes the head. Turnless tickets form a lane of their own: they wait for memory, never
// for turns. When foreign memory presses, or a resident was idle for as long as it may be, residents leave
// with nobody waiting for it.
#include "sched/advance.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "plan/victims.h"
#include "sched/ladder.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

enum class Room { there, coming, blocked };

bool fresh_reading(World& world, Effects& out, DeviceId device) {
  const Reading& reading = world.registry.readings[device.value];
  const bool fresh = reading.taken > Instant{} && reading.taken + world.limits.reading_age >= world.now;
  LineState& line = world.lines[device.value];
  if (!fresh && !line.reading_asked) {
    line.reading_asked = true;
    out.emplace_back(TakeReading{device});
  }
  return fresh && !reading.lost;
}

// Makes room for all promises of the device, or says that it can't be made now.
Room make_room(World& world, Effects& out, DeviceId device, Reason reason, std::optional<TicketId> ticket) {
  const Bytes space = headroom(world.registry, device);
  if (space >= Bytes{}) return Room::there;
  const Bytes deficit = Bytes{} - space - incoming(world, device);
  if (deficit <= Bytes{}) return Room::coming;
  const auto victims = choose_victims(world.registry, device, deficit, world.now);
  if (!victims) return Room::blocked;
  out.emplace_back(Planned{.device = device,
                           .reason = reason,
                           .ticket = ticket,
                           .victims = *victims,
                           .needed = Bytes{} - space,
                           .headroom = space});
  for (const ResidentId victim : *victims) begin_eviction(world, out, victim, reason);
  return Room::coming;
}

// Whether something of ours is under way or held that can change the room by itself.
bool in_motion(const LineState& line) {
  return line.loading || !line.evictions.empty() || line.statistics.in_flight > 0;
}

// Refuses a ticket whose way is blocked by what isn't ours to move, once room_limit has passed.
bool lost_patience(World& world, Effects& out, Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  if (in_motion(line)) {
    ticket.stuck_since.reset();
    return false;
  }
  if (!ticket.stuck_since) ticket.stuck_since = world.now;
  if (world.now < *ticket.stuck_since + world.limits.room_limit) return false;
  const Registry& registry = world.registry;
  const Reading& reading = registry.readings[ticket.ask.device.value];
  if (reading.lost) {
    refuse(world, out, ticket.id,
           {Code::device_lost,
            "the driver does not answer for " + registry.devices[ticket.ask.device.value].name});
  } else {
    refuse(world, out, ticket.id,
           {Code::no_room, "no room on " + registry.devices[ticket.ask.device.value].name +
                               ": foreign programs hold " + to_string(reading.foreign) +
                               ", pinned or unmovable consumers the rest of " +
                               to_string(committed(registry, ticket.ask.device)) + " committed"});
  }
  return true;
}

// A resident whose last load failed is not tried again before its pause is over; those who ask meanwhile are
// told.
bool refused_for_failure(World& world, Effects& out, const Ticket& ticket) {
  if (!ticket.ask.resident) return false;
  const Resident& resident = world.registry[*ticket.ask.resident];
  if (resident.state != Residency::failed || world.now >= resident.retry_at) return false;
  refuse(world, out, ticket.id, resident.last_error, resident.retry_at - world.now);
  return true;
}

// One preparing ticket: as far as it goes now.
void pursue(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  LineState& line = line_of(world, ticket);
  if (refused_for_failure(world, out, ticket)) return;
  Resident* resident = ticket.ask.resident ? &world.registry[*ticket.ask.resident] : nullptr;
  if (resident && (resident->state == Residency::loading || resident->state == Residency::unloading)) return;
  const bool to_load = resident && resident->state != Residency::warm;
  if (to_load &&
      (line.loading || any_in(world.registry, world.registry[resident->consumer], Residency::unloading)))
    return;

  const Room room = make_room(world, out, ticket.ask.device, Reason::ticket, id);
  if (room == Room::blocked) {
    lost_patience(world, out, ticket);
    return;
  }
  if (room == Room::coming) return;
  // A warm resident has its memory already; whoever is about to take memory needs numbers of now.
  const bool takes_memory = to_load || !resident;
  if (takes_memory && !fresh_reading(world, out, ticket.ask.device)) {
    lost_patience(world, out, ticket);
    return;
  }
  ticket.stuck_since.reset();
  if (to_load) {
    start_load(world, out, ticket);
  } else {
    grant(world, out, ticket);
  }
}

bool exclusive_stands_between(const World& world, const LineState& line, const Ticket& ticket) {
  const bool alone = ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.exclusive;
  const auto other = [&](TicketId id) {
    const Ticket& holder = world.tickets.at(id);
    if (holder.ask.consumer && holder.ask.consumer == ticket.ask.consumer) return false;
    return alone || (holder.ask.consumer && world.registry[*holder.ask.consumer].spec.exclusive);
  };
  if (std::ranges::any_of(line.preparing, other)) return true;
  if (alone) {
    const ConsumerState& own = world.registry[*ticket.ask.consumer];
    return line.statistics.in_flight > own.running;
  }
  return std::ranges::any_of(line.turns, [&](ConsumerId holder) {
    return world.registry[holder].spec.exclusive && ticket.ask.consumer != holder;
  });
}

bool turn_for(const World& world, const LineState& line, const Ticket& ticket) {
  if (ticket.ask.consumer) {
    const ConsumerState& consumer = world.registry[*ticket.ask.consumer];
    if (consumer.running + consumer.promised >= consumer.spec.concurrency) return false;
  }
  if (exclusive_stands_between(world, line, ticket)) return false;
  if (ticket.ask.consumer) {
    if (world.registry[*ticket.ask.consumer].spec.turnless) return true;
    if (std::ranges::find(line.turns, *ticket.ask.consumer) != line.turns.end()) return true;
  }
  return line.turns.size() + line.bare_turns.size() <
         world.registry.devices[ticket.ask.device.value].capacity;
}

// The first of a lane. Returns whether the lane moved, so that its next first may be looked at.
bool serve_first(World& world, Effects& out, const std::set<TicketId>& lane) {
  if (lane.empty()) return false;
  Ticket& ticket = *find_ticket(world, *lane.begin());
  const LineState& line = line_of(world, ticket);
  if (refused_for_failure(world, out, ticket)) return true;
  if (!turn_for(world, line, ticket)) {
    ticket.stuck_since.reset();
    return false;
  }
  const TicketId id = ticket.id;
  promise(world, ticket);
  if (make_room(world, out, ticket.ask.device, Reason::ticket, id) == Room::blocked) {
    unpromise(world, ticket);
    return lost_patience(world, out, ticket);
  }
  ticket.stuck_since.reset();
  pursue(world, out, id);
  return true;
}

bool idle_for_too_long(const World& world, const Resident& resident) {
  const Duration allowed = world.registry[resident.consumer].spec.idle_unload;
  return allowed > Duration{0} && is_candidate(world.registry, resident, world.now) &&
         world.now >= resident.last_used + allowed;
}

void let_the_idle_go(World& world, Effects& out, DeviceId device) {
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    if (world.registry[resident.consumer].spec.device != device || !idle_for_too_long(world, resident))
      continue;
    out.emplace_back(Planned{.device = device, .reason = Reason::idle, .victims = {ResidentId{i}}});
    begin_eviction(world, out, ResidentId{i}, Reason::idle);
  }
}

// Foreign memory grew, or a resident outgrew its footprint: idle residents make room, all that helps.
void relieve_pressure(World& world, Effects& out, DeviceId device) {
  Bytes deficit = Bytes{} - headroom(world.registry, device) - incoming(world, device);
  if (deficit <= Bytes{} || make_room(world, out, device, Reason::pressure, std::nullopt) != Room::blocked)
    return;
  // Not enough to reach the reserve again, but each that leaves brings it nearer.
  std::vector<ResidentId> idle;
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    if (world.registry[resident.consumer].spec.device == device &&
        is_candidate(world.registry, resident, world.now))
      idle.push_back(ResidentId{i});
  }
  if (idle.empty()) return;
  out.emplace_back(Planned{.device = device, .reason = Reason::pressure, .victims = idle, .needed = deficit});
  for (const ResidentId victim : idle) begin_eviction(world, out, victim, Reason::pressure);
}

}  // namespace

void advance(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  climb(world, out, device);
  if (line.doubtful_since) return;  // nobody takes memory before the driver has said what a crash left behind
  const std::vector<TicketId> promised(line.preparing.begin(), line.preparing.end());
  for (const TicketId id : promised)
    if (find_ticket(world, id)) pursue(world, out, id);
  while (serve_first(world, out, line.waiting)) {
  }
  while (serve_first(world, out, line.turnless)) {
  }
  if (line.preparing.empty()) relieve_pressure(world, out, device);
  let_the_idle_go(world, out, device);
}

Instant next_wakeup(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  Instant next = kNever;
  for (const auto& [id, eviction] : line.evictions) next = std::min(next, eviction.until);
  if (line.doubtful_since) return next;
  const auto patience = [&](TicketId id) {
    if (const Ticket& ticket = world.tickets.at(id); ticket.stuck_since && !in_motion(line))
      next = std::min(next, *ticket.stuck_since + world.limits.room_limit);
  };
  std::ranges::for_each(line.preparing, patience);
  if (!line.waiting.empty()) patience(*line.waiting.begin());
  if (!line.turnless.empty()) patience(*line.turnless.begin());
  const bool someone_waits = !line.waiting.empty() || !line.turnless.empty() || !line.preparing.empty();
  for (const Resident& resident : world.registry.residents) {
    const ConsumerState& consumer = world.registry[resident.consumer];
    const Duration allowed = consumer.spec.idle_unload;
    const Instant willing =
        std::max(world.now, resident.stubborn_until);  // when it is a candidate, all else equal
    if (consumer.spec.device != device || !is_candidate(world.registry, resident, willing)) continue;
    if (willing > world.now && someone_waits) next = std::min(next, willing);
    if (allowed > Duration{0}) next = std::min(next, std::max(resident.last_used + allowed, willing));
  }
  return next;
}

}  // namespace mgpu
