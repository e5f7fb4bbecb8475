#include "sched/transitions.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "registry/cost_learning.h"
#include "registry/usage_history.h"
#include "sched/estimate.h"
#include "sched/order.h"
#include "sched/placement.h"

namespace mgpu {
namespace {

constexpr Duration kDialoguePause{20'000'000};  // between the parts of one dialogue, at most
constexpr std::uint32_t kRunsToTell = 16;       // what jobs teach is told every so often, not each time

// A consumer's turn ends with the last ticket that uses it.
void turn_ends(World& world, const Ticket& ticket) {
  if (!ticket.ask.consumer) {
    std::erase(line_of(world, ticket).bare_turns, ticket.id);
    return;
  }
  const ConsumerState& consumer = world.registry[*ticket.ask.consumer];
  if (consumer.running_leases + consumer.promised_tickets > 0) return;
  for (const DeviceId device : devices_of(world.registry, ticket.ask))
    std::erase(world.lines[device.value].turns, *ticket.ask.consumer);
}

// A process ended in a way that nobody ordered: what it held may or may not be free, and only the driver
// knows.
void doubt(World& world, Effects& out, const Consumer& consumer) {
  for (const DeviceId device : devices_of(consumer)) {
    world.lines[device.value].doubtful_since = world.now;
    take_reading(world, out, device);
  }
}

Duration wait_limit_of(const World& world, const TicketRequest& ask) {
  return ask.wait_limit > Duration{0} ? ask.wait_limit : world.limits.wait_limit;
}

bool is_turnless(const World& world, const Ticket& ticket) {
  return ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.turnless;
}

void enqueue(World& world, const Ticket& ticket) {
  const Place place{ticket.due, ticket.id};
  for (const DeviceId device : devices_of(world.registry, ticket.ask)) {
    LineState& line = world.lines[device.value];
    if (is_turnless(world, ticket)) {
      line.turnless.insert(place);
      line.turnless_queues[*ticket.ask.consumer].insert(place);
      continue;
    }
    line.waiting.insert(place);
    line.queues[ticket.ask.consumer].insert(place);
    if (ticket.overtake_until == kNever)
      line.unpassed.insert(place);
    else
      line.bounds.emplace(ticket.overtake_until, place);
  }
  if (ticket.ask.consumer) ++world.registry[*ticket.ask.consumer].waiting_tickets;
  if (ticket.ask.resident) ++world.registry[*ticket.ask.resident].waiting;
}

// No queue stays that is empty.
template <class Queues, class Key>
void take_out(Queues& queues, const Key& whose, Place place) {
  const auto queue = queues.find(whose);
  queue->second.erase(place);
  if (queue->second.empty()) queues.erase(queue);
}

void dequeue(World& world, const Ticket& ticket) {
  const Place place{ticket.due, ticket.id};
  for (const DeviceId device : devices_of(world.registry, ticket.ask)) {
    LineState& line = world.lines[device.value];
    if (is_turnless(world, ticket)) {
      line.turnless.erase(place);
      take_out(line.turnless_queues, *ticket.ask.consumer, place);
      continue;
    }
    line.waiting.erase(place);
    line.unpassed.erase(place);
    line.bounds.erase({ticket.overtake_until, place});
    take_out(line.queues, ticket.ask.consumer, place);
  }
  if (ticket.ask.consumer) --world.registry[*ticket.ask.consumer].waiting_tickets;
  if (ticket.ask.resident) --world.registry[*ticket.ask.resident].waiting;
}

void streak_begins(World& world, LineState& line, ConsumerId consumer, std::uint32_t capacity) {
  if (std::ranges::find(line.streaks, consumer, &Streak::consumer) != line.streaks.end()) return;
  if (line.streaks.size() >= capacity)
    std::erase_if(line.streaks, [&](const Streak& streak) {
      return std::ranges::find(line.turns, streak.consumer) == line.turns.end();
    });
  line.streaks.push_back({consumer, world.now});
}

void turn_begins(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.ask)) {
    LineState& line = world.lines[device.value];
    const std::uint32_t capacity = world.registry.devices[device.value].capacity;
    if (!ticket.ask.consumer) {
      line.bare_turns.push_back(ticket.id);
    } else if (!is_turnless(world, ticket) &&
               std::ranges::find(line.turns, *ticket.ask.consumer) == line.turns.end()) {
      line.turns.push_back(*ticket.ask.consumer);
      streak_begins(world, line, *ticket.ask.consumer, capacity);
    }
    MGPU_ASSERT(line.turns.size() + line.bare_turns.size() <= capacity,
                "a device has no more turns than its capacity");
  }
}

void no_longer_prepared(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.ask))
    world.lines[device.value].preparing.erase(ticket.id);
}

// Takes back what promise() gave, whether the ticket was granted meanwhile or not.
void return_promise(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  if (!ticket.ask.consumer) {
    registry.bare_reserved[ticket.ask.device.value] -= reservation(registry, ticket.ask);
  } else {
    ConsumerState& consumer = registry[*ticket.ask.consumer];
    std::uint32_t& count =
        ticket.stage == Stage::running ? consumer.running_leases : consumer.promised_tickets;
    MGPU_ASSERT(count > 0, "what is taken back was given");
    --count;
    if (consumer.spec.lease_only) consumer.leased_bytes -= reservation(registry, ticket.ask);
    if (ticket.ask.resident) --registry[*ticket.ask.resident].use_count;
  }
  if (ticket.stage == Stage::running)
    for (const DeviceId device : devices_of(registry, ticket.ask)) --world.lines[device.value].leases;
  turn_ends(world, ticket);
}

Bytes need_on(const Registry& registry, const TicketRequest& ask, DeviceId device) {
  const Bytes whole = whole_need(registry, ask);
  return ask.consumer ? device_part(registry[*ask.consumer].spec, device, whole) : whole;
}

// Why one of its devices could not hold it, even if nobody else were there.
std::optional<Error> never_fits(const Registry& registry, const TicketRequest& ask) {
  for (const DeviceId id : devices_of(registry, ask)) {
    const Device& device = registry.devices[id.value];
    const Bytes total = registry.readings[id.value].total, fits = total - device.reserve;
    const Bytes needed = need_on(registry, ask, id);
    if (total > Bytes{} && needed > fits)
      return Error{ErrorCode::never_fits, "needs " + to_string(needed) + ", but " + device.name +
                                              " has at most " + to_string(fits) + " to give (" +
                                              to_string(needed - fits) + " missing)"};
  }
  return std::nullopt;
}

// Why it can't be served on the one device that was asked for.
std::optional<Error> is_elsewhere(const Registry& registry, const TicketRequest& ask, DeviceId chosen) {
  if (!ask.device_requested || ask.device == chosen) return std::nullopt;
  return Error{ErrorCode::busy, registry[*ask.consumer].spec.name + " is on device " +
                                    registry.devices[chosen.value].name + " now, not on " +
                                    registry.devices[ask.device.value].name};
}

// Work that begins soon after another consumer's belongs to one dialogue, more often than not.
void note_succession(World& world, const LineState& line, const TicketRequest& ask) {
  if (!line.latest || !ask.consumer || line.latest->consumer == *ask.consumer || ask.is_warm_up) return;
  if (world.now - line.latest->since <= kDialoguePause)
    record_succession(world.registry, line.latest->consumer, *ask.consumer);
}

// Why the line takes no more tickets of this kind; `before`: how many there are already.
std::optional<Error> is_full(const World& world, const Ticket& ticket, std::size_t before) {
  const LineState& line = world.lines[ticket.ask.device.value];
  const Lane& lane = is_turnless(world, ticket) ? line.turnless : line.waiting;
  const auto full = [&](std::string whose, std::uint32_t limit, const Lane& places) {
    // A place comes free when the first of them starts.
    const Instant free = estimated_start(world, places.begin()->ticket).value_or(world.now);
    const Duration advice = std::max<Duration>(free - world.now, std::chrono::seconds{1});
    return Error{ErrorCode::queue_full, whose + " is full (" + std::to_string(limit) + " waiting)", advice};
  };
  if (before >= world.limits.max_queue) return full("the line", world.limits.max_queue, lane);
  if (!ticket.ask.consumer) return std::nullopt;
  const ConsumerState& consumer = world.registry[*ticket.ask.consumer];
  if (consumer.spec.max_queue == 0 || consumer.waiting_tickets <= consumer.spec.max_queue)
    return std::nullopt;
  const auto own = line.queues.find(ticket.ask.consumer);
  return full("the line of " + consumer.spec.name, consumer.spec.max_queue,
              own == line.queues.end() ? lane : own->second);
}

}  // namespace

LineState& home_line(World& world, const Consumer& consumer) { return world.lines[consumer.device.value]; }

void stir(World& world, DeviceId device) {
  if (std::ranges::find(world.stirred, device) == world.stirred.end()) world.stirred.push_back(device);
}

void stir(World& world, const Consumer& consumer) {
  for (const DeviceId device : devices_of(consumer)) stir(world, device);
}

void stir(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.ask)) stir(world, device);
}

void take_reading(World& world, Effects& out, DeviceId device) {
  world.lines[device.value].reading_asked = true;
  out.emplace_back(TakeReading{device});
}

LineState& line_of(World& world, const Ticket& ticket) { return world.lines[ticket.ask.device.value]; }

Ticket* find_ticket(World& world, TicketId id) {
  const auto found = world.tickets.find(id);
  return found == world.tickets.end() ? nullptr : &found->second;
}

Bytes reservation(const Registry& registry, const TicketRequest& ask) {
  if (!ask.consumer || ask.bytes > Bytes{}) return ask.bytes;
  const Consumer& spec = registry[*ask.consumer].spec;
  return spec.footprint + working_per_job(registry[*ask.consumer]);
}

Bytes whole_need(const Registry& registry, const TicketRequest& ask) {
  if (!ask.resident) return reservation(registry, ask);
  return registry[*ask.resident].footprint + working_per_job(registry[*ask.consumer]);
}

namespace {

// What a lease gives back comes free a little later: until a reading has shown it, it is not counted on.
void note_returned(World& world, const TicketRequest& ask) {
  const Registry& registry = world.registry;
  const Bytes whole = ask.resident ? working_per_job(registry[*ask.consumer]) : reservation(registry, ask);
  for (const DeviceId device : devices_of(registry, ask)) {
    LineState& line = world.lines[device.value];
    line.returned += ask.consumer ? device_part(registry[*ask.consumer].spec, device, whole) : whole;
    line.returned_at = world.now;
  }
}

}  // namespace

// A ticket that can't make its deadline is told so at once, by the same estimate that everybody sees.
void refuse_what_comes_too_late(World& world, Effects& out, const Ticket& ticket) {
  const auto start = estimated_start(world, ticket.id);
  if (!start || *start <= ticket.arrived + ticket.ask.deadline) return;
  const Duration wait = *start - world.now;
  refuse(world, out, ticket.id,
         {ErrorCode::wait_limit, "it could start in about " + to_rounded_string(wait) +
                                     ", which is after its deadline of " +
                                     to_rounded_string(ticket.ask.deadline)},
         wait);
}

void admit(World& world, Effects& out, TicketId id, const TicketRequest& ask) {
  Ticket& ticket = world.tickets[id];
  MGPU_ASSERT(ticket.id == TicketId{}, "a ticket's number is used once");
  ticket = {.id = id, .ask = ask, .arrived = world.now};
  if (ask.consumer) {
    Consumer& spec = world.registry[*ask.consumer].spec;
    spec.device = choose_device(world, ask);
    ticket.ask.device = spec.device;
  }
  LineState& line = line_of(world, ticket);
  const Duration limit = wait_limit_of(world, ask);
  ticket.expires = world.now + (ask.deadline > Duration{0} ? std::min(limit, ask.deadline) : limit);
  ticket.due = due_of(world, ticket);
  const std::size_t before = line.waiting.size() + line.turnless.size() + line.preparing.size();
  note_succession(world, line, ticket.ask);
  enqueue(world, ticket);
  world.expiries.emplace(ticket.expires, id);
  fold(line.statistics, fact::Arrived{});

  if (world.draining)
    return refuse(world, out, id, {ErrorCode::shutting_down, "the daemon is shutting down"});
  if (const auto full = is_full(world, ticket, before))
    return refuse(world, out, id, *full, full->retry_after);
  if (auto why = is_elsewhere(world.registry, ask, ticket.ask.device))
    return refuse(world, out, id, std::move(*why));
  if (auto why = never_fits(world.registry, ticket.ask)) return refuse(world, out, id, std::move(*why));
  if (ask.deadline > Duration{0}) refuse_what_comes_too_late(world, out, ticket);
  if (const Ticket* admitted = find_ticket(world, id)) take_share(world, *admitted);
}

void promise(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == Stage::waiting, "only a waiting ticket is promised anything");
  dequeue(world, ticket);
  drop_claim(world, ticket);
  for (const DeviceId device : devices_of(registry, ticket.ask))
    world.lines[device.value].preparing.insert(ticket.id);
  ticket.stage = Stage::preparing;
  ticket.preparing_since = world.now;
  if (!ticket.ask.consumer) {
    registry.bare_reserved[ticket.ask.device.value] += reservation(registry, ticket.ask);
  } else {
    ConsumerState& consumer = registry[*ticket.ask.consumer];
    MGPU_ASSERT(consumer.running_leases + consumer.promised_tickets < consumer.spec.concurrency,
                "concurrency bounds a consumer's tickets");
    ++consumer.promised_tickets;
    if (consumer.spec.lease_only) consumer.leased_bytes += reservation(registry, ticket.ask);
    if (ticket.ask.resident) ++registry[*ticket.ask.resident].use_count;
  }
  turn_begins(world, ticket);
}

void unpromise(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == Stage::preparing, "only a promise is taken back");
  no_longer_prepared(world, ticket);
  return_promise(world, ticket);
  ticket.stage = Stage::waiting;
  enqueue(world, ticket);
}

void grant(World& world, Effects& out, Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == Stage::preparing, "a ticket is granted once");
  for (const DeviceId device : devices_of(registry, ticket.ask)) {
    MGPU_ASSERT(headroom(registry, device) >= Bytes{}, "a grant never overcommits a device");
    ++world.lines[device.value].leases;
  }
  MGPU_ASSERT(!ticket.ask.resident || registry[*ticket.ask.resident].state == Residency::warm,
              "a lease exists only for a warm resident");
  no_longer_prepared(world, ticket);
  world.expiries.erase({ticket.expires, ticket.id});
  if (ticket.ask.consumer) {
    ConsumerState& consumer = registry[*ticket.ask.consumer];
    --consumer.promised_tickets, ++consumer.running_leases;
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
    dequeue(world, ticket);
    drop_claim(world, ticket);
  } else {
    no_longer_prepared(world, ticket);
    return_promise(world, ticket);
  }
  stir(world, ticket);
  world.expiries.erase({ticket.expires, id});
  fold(line.statistics, fact::EndedWaiting{why.code});
  world.tickets.erase(id);
  out.emplace_back(Refuse{.ticket = id, .error = std::move(why), .retry_after = retry_after});
}

namespace {

// A ticket that is back in the line was there before others of its consumer, and what was loaded ahead for
// one of those would let it go first.
void drop_later_claims(World& world, const Ticket& ticket) {
  const Place place{ticket.due, ticket.id};
  const std::set<TicketId> claims = line_of(world, ticket).claims;
  for (const TicketId id : claims)
    if (Ticket& other = *find_ticket(world, id);
        other.ask.consumer == ticket.ask.consumer && place < Place{other.due, id})
      drop_claim(world, other);
}

}  // namespace

void requeue(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  MGPU_ASSERT(ticket.stage == Stage::running, "only a lease runs out of memory");
  LineState& line = line_of(world, ticket);
  return_promise(world, ticket);
  const bool more_expected = ticket.ask.resident && learn_out_of_memory(world.registry, *ticket.ask.resident);
  fold(line.statistics, fact::Requeued{});
  ticket.stage = Stage::waiting;
  ticket.expires = world.now + wait_limit_of(world, ticket.ask);
  world.expiries.emplace(ticket.expires, id);
  enqueue(world, ticket);
  stir(world, ticket);
  out.emplace_back(Requeued{.ticket = id, .expected_bytes = whole_need(world.registry, ticket.ask)});
  if (ticket.ask.resident && !more_expected)
    return refuse(world, out, id,
                  {ErrorCode::out_of_memory, "its service ran out of device memory, and there is no more"});
  drop_later_claims(world, ticket);
}

void release(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  MGPU_ASSERT(ticket.stage == Stage::running, "only a lease is released");
  LineState& line = line_of(world, ticket);
  return_promise(world, ticket);
  stir(world, ticket);
  note_returned(world, ticket.ask);
  const Duration ran = world.now - ticket.granted;
  if (ticket.ask.resident && !ticket.ask.is_warm_up) {
    learn_run(world.registry, *ticket.ask.resident, ran, world.hour);
    Resident& resident = world.registry[*ticket.ask.resident];
    if (resident.costs.runs % kRunsToTell == 0)
      out.emplace_back(CostsLearned{*ticket.ask.resident, resident.costs});
  }
  if (ticket.ask.resident) record_use(world.registry, *ticket.ask.resident, world.now);
  if (ticket.ask.consumer && !ticket.ask.is_warm_up) line.latest = Streak{*ticket.ask.consumer, world.now};
  fold(line.statistics, fact::Released{.at = world.now, .ran = ran, .counts = !ticket.ask.is_warm_up});
  world.tickets.erase(id);
}

void claim(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == Stage::waiting && !ticket.claims,
              "only a waiting ticket has its load begun ahead");
  ticket.claims = true;
  line_of(world, ticket).claims.insert(ticket.id);
  ++world.registry[*ticket.ask.resident].use_count;
}

void drop_claim(World& world, Ticket& ticket) {
  if (!ticket.claims) return;
  ticket.claims = false;
  line_of(world, ticket).claims.erase(ticket.id);
  --world.registry[*ticket.ask.resident].use_count;
}

void start_load(World& world, Effects& out, ResidentId id, std::optional<TicketId> ticket) {
  Resident& resident = world.registry[id];
  const Consumer& spec = world.registry[resident.consumer].spec;
  MGPU_ASSERT(!holds_memory(resident), "nothing is loaded twice at once");
  const bool parked = resident.state == Residency::parked;
  resident.state = Residency::loading;
  for (const DeviceId device : devices_of(spec)) {
    auto& loading = world.lines[device.value].loading;
    MGPU_ASSERT(!loading, "one load at a time on a device");
    MGPU_ASSERT(headroom(world.registry, device) >= Bytes{}, "a load never overcommits a device");
    loading = id;
  }
  resident.is_loaded_ahead = !ticket || find_ticket(world, *ticket)->stage == Stage::waiting;
  resident.was_read_ahead = false;
  learn_load_start(world.registry, id, world.now);
  fold(home_line(world, spec).statistics, fact::LoadStarted{.ahead = resident.is_loaded_ahead});
  out.emplace_back(Load{.resident = id, .ticket = ticket, .from_parked = parked});
}

void end_load(World& world, Effects& out, ResidentId id, const Result<void>& result, LoadSource source) {
  Resident& resident = world.registry[id];
  const Consumer& spec = world.registry[resident.consumer].spec;
  for (const DeviceId device : devices_of(spec)) {
    auto& loading = world.lines[device.value].loading;
    MGPU_ASSERT(loading == id && resident.state == Residency::loading, "a load ends that was started");
    loading.reset();
  }
  stir(world, spec);
  LineState& line = home_line(world, spec);
  if (result) {
    resident.state = Residency::warm;
    resident.consecutive_failures = 0;
    learn_load_end(world.registry, id, world.now, source);
    out.emplace_back(CostsLearned{id, resident.costs});
    return;
  }
  doubt(world, out, spec);
  fold(line.statistics, fact::LoadFailed{});
  resident.is_loaded_ahead = false;
  const bool ran_out = result.error().code == ErrorCode::out_of_memory;
  if (ran_out && learn_load_out_of_memory(world.registry, id) && resident.consecutive_failures == 0) {
    // It takes more than anybody knew. Those who wait for it go on waiting, until more room is made.
    ++resident.consecutive_failures;
    resident.state = Residency::cold;
    return;
  }
  const Duration doubled =
      saturating_product(world.limits.pause_first, 1LL << std::min(resident.consecutive_failures, 20U));
  const Duration pause = std::min(doubled, world.limits.pause_longest);
  resident.state = Residency::failed;
  resident.last_error = result.error();
  resident.retry_at = world.now + pause;
  ++resident.consecutive_failures;
  std::set<TicketId> disappointed = line.preparing;
  disappointed.insert(line.claims.begin(), line.claims.end());
  for (const TicketId ticket : disappointed)
    if (find_ticket(world, ticket)->ask.resident == id) refuse(world, out, ticket, result.error(), pause);
}

void lose_service(World& world, Effects& out, ConsumerId id, const Error& why) {
  ConsumerState& consumer = world.registry[id];
  std::vector<TicketId> ended;
  if (consumer.running_leases > 0)
    for (const auto& [ticket_id, ticket] : world.tickets)
      if (ticket.stage == Stage::running && ticket.ask.consumer == id && ticket.ask.resident)
        ended.push_back(ticket_id);
  std::ranges::sort(ended);  // equal events give equal effects, whatever the hash order
  for (const TicketId ticket : ended) {
    release(world, out, ticket);
    out.emplace_back(EndLease{.ticket = ticket, .error = why});
  }
  // What is loading or unloading hears of it by its own answer, which the shell owes or has given already.
  for (auto& [resident_id, eviction] : world.evictions)
    if (world.registry[resident_id].consumer == id) eviction.process_lost = true;
  for (const ResidentId resident_id : consumer.residents) {
    Resident& resident = world.registry[resident_id];
    if (why.code == ErrorCode::out_of_memory && resident.state == Residency::warm)
      learn_out_of_memory(world.registry, resident_id);
    if (resident.state == Residency::warm || resident.state == Residency::parked)
      resident.state = Residency::cold;
  }
  release_attribution(world.registry, consumer, std::nullopt);
  stir(world, consumer.spec);
  doubt(world, out, consumer.spec);
}

}  // namespace mgpu
