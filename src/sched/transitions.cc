#include "sched/transitions.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace mgpu {
namespace {

void turn_begins(World& world, LineState& line, const Ticket& ticket) {
  if (!ticket.ask.consumer) {
    line.bare_turns.push_back(ticket.id);
  } else if (!world.registry[*ticket.ask.consumer].spec.turnless &&
             std::ranges::find(line.turns, *ticket.ask.consumer) == line.turns.end()) {
    line.turns.push_back(*ticket.ask.consumer);
  }
  MGPU_ASSERT(
      line.turns.size() + line.bare_turns.size() <= world.registry.devices[ticket.ask.device.value].capacity,
      "a device has no more turns than its capacity");
}

// A consumer's turn ends with the last ticket that uses it.
void turn_ends(World& world, LineState& line, const Ticket& ticket) {
  if (!ticket.ask.consumer) {
    std::erase(line.bare_turns, ticket.id);
    return;
  }
  const ConsumerState& consumer = world.registry[*ticket.ask.consumer];
  if (consumer.running + consumer.promised == 0) std::erase(line.turns, *ticket.ask.consumer);
}

// A process ended in a way that nobody ordered: what it held may or may not be free, and only the driver
// knows.
void doubt(World& world, Effects& out, DeviceId device) {
  LineState& line = world.lines[device.value];
  line.doubtful_since = world.now;
  line.reading_asked = true;
  out.emplace_back(TakeReading{device});
}

std::set<TicketId>& waiting_room(World& world, const Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  const bool turnless = ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.turnless;
  return turnless ? line.turnless : line.waiting;
}

// Takes back what promise() gave, whether the ticket was granted meanwhile or not.
void return_promise(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  if (!ticket.ask.consumer) {
    registry.bare[ticket.ask.device.value] -= reservation(registry, ticket.ask);
  } else {
    ConsumerState& consumer = registry[*ticket.ask.consumer];
    std::uint32_t& count = ticket.stage == Stage::running ? consumer.running : consumer.promised;
    MGPU_ASSERT(count > 0, "what is taken back was given");
    --count;
    if (consumer.spec.lease_only) consumer.leased -= reservation(registry, ticket.ask);
    if (ticket.ask.resident) --registry[*ticket.ask.resident].users;
  }
  turn_ends(world, line_of(world, ticket), ticket);
}

Error never_fits(const Registry& registry, const Ask& ask, Bytes needed) {
  const Device& device = registry.devices[ask.device.value];
  const Bytes fits = registry.readings[ask.device.value].total - device.reserve;
  return {Code::never_fits, "needs " + to_string(needed) + ", but " + device.name + " has at most " +
                                to_string(fits) + " to give (" + to_string(needed - fits) + " missing)"};
}

Bytes whole_need(const Registry& registry, const Ask& ask) {
  if (!ask.resident) return reservation(registry, ask);
  return registry[*ask.resident].footprint + registry[*ask.consumer].spec.working;
}

}  // namespace

LineState& line_of(World& world, const Ticket& ticket) { return world.lines[ticket.ask.device.value]; }

Ticket* find_ticket(World& world, TicketId id) {
  const auto found = world.tickets.find(id);
  return found == world.tickets.end() ? nullptr : &found->second;
}

Bytes reservation(const Registry& registry, const Ask& ask) {
  if (!ask.consumer || ask.bytes > Bytes{}) return ask.bytes;
  const Consumer& spec = registry[*ask.consumer].spec;
  return spec.footprint + spec.working;
}

void admit(World& world, Effects& out, TicketId id, const Ask& ask) {
  LineState& line = world.lines[ask.device.value];
  const Registry& registry = world.registry;
  const Duration limit = ask.wait_limit > Duration{0} ? ask.wait_limit : world.limits.wait_limit;
  Ticket& ticket = world.tickets[id];
  MGPU_ASSERT(ticket.id == TicketId{}, "a ticket's number is used once");
  ticket = {.id = id, .ask = ask, .arrived = world.now, .expires = world.now + limit};
  const bool full =
      line.waiting.size() + line.turnless.size() + line.preparing.size() >= world.limits.max_queue;
  waiting_room(world, ticket).insert(id);
  world.expiries.emplace(ticket.expires, id);
  if (ask.consumer) ++world.registry[*ask.consumer].waiting;
  fold(line.statistics, fact::Arrived{});

  if (world.draining) return refuse(world, out, id, {Code::shutting_down, "the daemon is shutting down"});
  if (full) {
    const Duration advice = std::max<Duration>(line.statistics.last_run, std::chrono::seconds{1});
    return refuse(
        world, out, id,
        {Code::queue_full, "the line is full (" + std::to_string(world.limits.max_queue) + " waiting)"},
        advice);
  }
  const Bytes total = registry.readings[ask.device.value].total;
  const Bytes needed = whole_need(registry, ask);
  if (total > Bytes{} && needed > total - registry.devices[ask.device.value].reserve)
    return refuse(world, out, id, never_fits(registry, ask, needed));
}

void promise(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  LineState& line = line_of(world, ticket);
  MGPU_ASSERT(ticket.stage == Stage::waiting, "only a waiting ticket is promised anything");
  waiting_room(world, ticket).erase(ticket.id);
  line.preparing.insert(ticket.id);
  ticket.stage = Stage::preparing;
  ticket.preparing_since = world.now;
  if (!ticket.ask.consumer) {
    registry.bare[ticket.ask.device.value] += reservation(registry, ticket.ask);
  } else {
    ConsumerState& consumer = registry[*ticket.ask.consumer];
    MGPU_ASSERT(consumer.running + consumer.promised < consumer.spec.concurrency,
                "concurrency bounds a consumer's tickets");
    --consumer.waiting, ++consumer.promised;
    if (consumer.spec.lease_only) consumer.leased += reservation(registry, ticket.ask);
    if (ticket.ask.resident) ++registry[*ticket.ask.resident].users;
  }
  turn_begins(world, line, ticket);
}

void unpromise(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == Stage::preparing, "only a promise is taken back");
  line_of(world, ticket).preparing.erase(ticket.id);
  return_promise(world, ticket);
  ticket.stage = Stage::waiting;
  waiting_room(world, ticket).insert(ticket.id);
  if (ticket.ask.consumer) ++world.registry[*ticket.ask.consumer].waiting;
}

void grant(World& world, Effects& out, Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == Stage::preparing, "a ticket is granted once");
  MGPU_ASSERT(headroom(registry, ticket.ask.device) >= Bytes{}, "a grant never overcommits a device");
  MGPU_ASSERT(!ticket.ask.resident || registry[*ticket.ask.resident].state == Residency::warm,
              "a lease exists only for a warm resident");
  line.preparing.erase(ticket.id);
  world.expiries.erase({ticket.expires, ticket.id});
  if (ticket.ask.consumer) {
    ConsumerState& consumer = registry[*ticket.ask.consumer];
    --consumer.promised, ++consumer.running;
  }
  ticket.stage = Stage::running;
  ticket.granted = world.now;
  ticket.expires = kNever;
  const Duration waited = world.now - ticket.arrived;
  fold(line.statistics, fact::Granted{.at = world.now, .waited = waited});
  out.emplace_back(
      Grant{.ticket = ticket.id, .waited = waited, .loading = world.now - ticket.preparing_since});
}

void refuse(World& world, Effects& out, TicketId id, Error why, Duration retry_after) {
  Ticket& ticket = *find_ticket(world, id);
  LineState& line = line_of(world, ticket);
  MGPU_ASSERT(ticket.stage != Stage::running, "a lease can't be refused");
  if (ticket.stage == Stage::waiting) {
    waiting_room(world, ticket).erase(id);
    if (ticket.ask.consumer) --world.registry[*ticket.ask.consumer].waiting;
  } else {
    line.preparing.erase(id);
    return_promise(world, ticket);
  }
  world.expiries.erase({ticket.expires, id});
  fold(line.statistics, fact::EndedWaiting{why.code});
  world.tickets.erase(id);
  out.emplace_back(Refuse{.ticket = id, .why = std::move(why), .retry_after = retry_after});
}

void release(World& world, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  MGPU_ASSERT(ticket.stage == Stage::running, "only a lease is released");
  return_promise(world, ticket);
  if (ticket.ask.resident) world.registry[*ticket.ask.resident].last_used = world.now;
  fold(line_of(world, ticket).statistics,
       fact::Released{.at = world.now, .ran = world.now - ticket.granted, .counts = !ticket.ask.warm_up});
  world.tickets.erase(id);
}

void start_load(World& world, Effects& out, Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  Resident& resident = world.registry[*ticket.ask.resident];
  MGPU_ASSERT(!line.loading, "one load at a time on a device");
  MGPU_ASSERT(!holds_memory(resident), "nothing is loaded twice at once");
  MGPU_ASSERT(headroom(world.registry, ticket.ask.device) >= Bytes{}, "a load never overcommits a device");
  const bool parked = resident.state == Residency::parked;
  resident.state = Residency::loading;
  line.loading = ticket.ask.resident;
  fold(line.statistics, fact::LoadStarted{});
  out.emplace_back(Load{.resident = *ticket.ask.resident, .ticket = ticket.id, .from_parked = parked});
}

void end_load(World& world, Effects& out, ResidentId id, const Result<void>& result) {
  Resident& resident = world.registry[id];
  LineState& line = world.lines[world.registry[resident.consumer].spec.device.value];
  MGPU_ASSERT(line.loading == id && resident.state == Residency::loading, "a load ends that was started");
  line.loading.reset();
  resident.last_used = world.now;
  if (result) {
    resident.state = Residency::warm;
    resident.failures = 0;
    return;
  }
  const Duration doubled = world.limits.pause_first * (1LL << std::min(resident.failures, 20U));
  const Duration pause = std::min(doubled, world.limits.pause_longest);
  resident.state = Residency::failed;
  resident.last_error = result.error();
  resident.retry_at = world.now + pause;
  ++resident.failures;
  fold(line.statistics, fact::LoadFailed{});
  doubt(world, out, world.registry[resident.consumer].spec.device);
  const std::set<TicketId> disappointed = line.preparing;
  for (const TicketId ticket : disappointed)
    if (find_ticket(world, ticket)->ask.resident == id) refuse(world, out, ticket, result.error(), pause);
}

void lose_service(World& world, Effects& out, ConsumerId id, const Error& why) {
  ConsumerState& consumer = world.registry[id];
  std::vector<TicketId> ended;
  if (consumer.running > 0)
    for (const auto& [ticket_id, ticket] : world.tickets)
      if (ticket.stage == Stage::running && ticket.ask.consumer == id && ticket.ask.resident)
        ended.push_back(ticket_id);
  std::ranges::sort(ended);  // equal events give equal effects, whatever the hash order
  for (const TicketId ticket : ended) {
    release(world, ticket);
    out.emplace_back(EndLease{.ticket = ticket, .why = why});
  }
  // What is loading or unloading hears of it by its own answer, which the shell owes.
  for (const ResidentId resident_id : consumer.residents) {
    Resident& resident = world.registry[resident_id];
    if (resident.state == Residency::warm || resident.state == Residency::parked)
      resident.state = Residency::cold;
  }
  note_left(world.registry, consumer, consumer.explained);
  doubt(world, out, consumer.spec.device);
}

}  // namespace mgpu
