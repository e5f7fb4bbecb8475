#include "sched/transitions.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "registry/cost_learning.h"
#include "registry/usage_history.h"
#include "sched/line_order.h"
#include "sched/placement.h"
#include "sched/start_estimate.h"

namespace mgpu {
namespace {

constexpr Duration kMaxSuccessionGap{20'000'000};  // between the parts of one dialogue, at most
constexpr std::uint32_t kRunsPerReport = 16;       // what jobs teach is told every so often, not each time

// A consumer's turn ends with the last ticket that uses it.
void end_turn(World& world, const Ticket& ticket) {
  if (!ticket.request.consumer) {
    std::erase(line_of(world, ticket).bare_turns, ticket.id);
    return;
  }
  const ConsumerState& consumer = world.registry[*ticket.request.consumer];
  if (consumer.running_leases + consumer.promised_tickets > 0) return;
  for (const DeviceId device : devices_of(world.registry, ticket.request))
    std::erase(world.lines[device.value].turns, *ticket.request.consumer);
}

// A process ended in a way that nobody ordered: what it held may or may not be free, and only the driver
// knows.
void mark_unverified(World& world, Effects& out, const Consumer& consumer) {
  for (const DeviceId device : devices_of(consumer)) {
    world.lines[device.value].unverified_since = world.now;
    request_reading(world, out, device);
  }
}

Duration wait_limit_of(const World& world, const TicketRequest& request) {
  return request.wait_limit > Duration{0} ? request.wait_limit : world.limits.wait_limit;
}

bool is_turnless(const World& world, const Ticket& ticket) {
  return ticket.request.consumer && world.registry[*ticket.request.consumer].spec.turnless;
}

void enqueue(World& world, const Ticket& ticket) {
  const LinePlace place{ticket.due, ticket.id};
  for (const DeviceId device : devices_of(world.registry, ticket.request)) {
    LineState& line = world.lines[device.value];
    if (is_turnless(world, ticket)) {
      line.turnless.insert(place);
      line.turnless_queues[*ticket.request.consumer].insert(place);
      continue;
    }
    line.waiting.insert(place);
    line.queues[ticket.request.consumer].insert(place);
    if (ticket.overtake_until == kNever)
      line.never_overtaken.insert(place);
    else
      line.overtake_deadlines.emplace(ticket.overtake_until, place);
  }
  if (ticket.request.consumer) ++world.registry[*ticket.request.consumer].waiting_tickets;
  if (ticket.request.resident) ++world.registry[*ticket.request.resident].waiting;
}

// No queue stays that is empty.
template <class Queues, class Key>
void erase_from_queue(Queues& queues, const Key& key, LinePlace place) {
  const auto queue = queues.find(key);
  queue->second.erase(place);
  if (queue->second.empty()) queues.erase(queue);
}

void dequeue(World& world, const Ticket& ticket) {
  const LinePlace place{ticket.due, ticket.id};
  for (const DeviceId device : devices_of(world.registry, ticket.request)) {
    LineState& line = world.lines[device.value];
    if (is_turnless(world, ticket)) {
      line.turnless.erase(place);
      erase_from_queue(line.turnless_queues, *ticket.request.consumer, place);
      continue;
    }
    line.waiting.erase(place);
    line.never_overtaken.erase(place);
    line.overtake_deadlines.erase({ticket.overtake_until, place});
    erase_from_queue(line.queues, ticket.request.consumer, place);
  }
  if (ticket.request.consumer) --world.registry[*ticket.request.consumer].waiting_tickets;
  if (ticket.request.resident) --world.registry[*ticket.request.resident].waiting;
}

void begin_streak(World& world, LineState& line, ConsumerId consumer, std::uint32_t capacity) {
  if (std::ranges::find(line.streaks, consumer, &TurnStreak::consumer) != line.streaks.end()) return;
  if (line.streaks.size() >= capacity)
    std::erase_if(line.streaks, [&](const TurnStreak& streak) {
      return std::ranges::find(line.turns, streak.consumer) == line.turns.end();
    });
  line.streaks.push_back({consumer, world.now});
}

void begin_turn(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.request)) {
    LineState& line = world.lines[device.value];
    const std::uint32_t capacity = world.registry.devices[device.value].capacity;
    if (!ticket.request.consumer) {
      line.bare_turns.push_back(ticket.id);
    } else if (!is_turnless(world, ticket) &&
               std::ranges::find(line.turns, *ticket.request.consumer) == line.turns.end()) {
      line.turns.push_back(*ticket.request.consumer);
      begin_streak(world, line, *ticket.request.consumer, capacity);
    }
    MGPU_ASSERT(line.turns.size() + line.bare_turns.size() <= capacity,
                "a device has no more turns than its capacity");
  }
}

void end_preparing(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.request))
    world.lines[device.value].preparing.erase(ticket.id);
}

// Takes back what promise() gave, whether the ticket was granted meanwhile or not.
void release_reservations(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  if (!ticket.request.consumer) {
    registry.bare_reserved[ticket.request.device.value] -= reservation(registry, ticket.request);
  } else {
    ConsumerState& consumer = registry[*ticket.request.consumer];
    std::uint32_t& count =
        ticket.stage == TicketStage::running ? consumer.running_leases : consumer.promised_tickets;
    MGPU_ASSERT(count > 0, "what is taken back was given");
    --count;
    if (consumer.spec.lease_only) consumer.leased_bytes -= reservation(registry, ticket.request);
    if (ticket.request.resident) --registry[*ticket.request.resident].use_count;
  }
  if (ticket.stage == TicketStage::running)
    for (const DeviceId device : devices_of(registry, ticket.request))
      --world.lines[device.value].running_leases;
  end_turn(world, ticket);
}

Bytes device_need(const Registry& registry, const TicketRequest& request, DeviceId device) {
  const Bytes total = total_need(registry, request);
  return request.consumer ? device_part(registry[*request.consumer].spec, device, total) : total;
}

// Why one of its devices could not hold it, even if nobody else were there.
std::optional<Error> never_fits_error(const Registry& registry, const TicketRequest& request) {
  for (const DeviceId id : devices_of(registry, request)) {
    const Device& device = registry.devices[id.value];
    const Bytes total = registry.readings[id.value].total, fits = total - device.reserve;
    const Bytes needed = device_need(registry, request, id);
    if (total > Bytes{} && needed > fits)
      return Error{ErrorCode::never_fits, "needs " + to_string(needed) + ", but " + device.name +
                                              " has at most " + to_string(fits) + " to give (" +
                                              to_string(needed - fits) + " missing)"};
  }
  return std::nullopt;
}

// Why it can't be served on the one device that was asked for.
std::optional<Error> wrong_device_error(const Registry& registry, const TicketRequest& request,
                                        DeviceId chosen) {
  if (!request.device_requested || request.device == chosen) return std::nullopt;
  return Error{ErrorCode::busy, registry[*request.consumer].spec.name + " is on device " +
                                    registry.devices[chosen.value].name + " now, not on " +
                                    registry.devices[request.device.value].name};
}

// Work that begins soon after another consumer's belongs to one dialogue, more often than not.
void detect_succession(World& world, const LineState& line, const TicketRequest& request) {
  if (!line.latest_release || !request.consumer || line.latest_release->consumer == *request.consumer ||
      request.is_warm_up)
    return;
  if (world.now - line.latest_release->since <= kMaxSuccessionGap)
    record_succession(world.registry, line.latest_release->consumer, *request.consumer);
}

// Why the line takes no more tickets of this kind; `before`: how many there are already.
std::optional<Error> queue_full_error(const World& world, const Ticket& ticket, std::size_t before) {
  const LineState& line = world.lines[ticket.request.device.value];
  const TicketQueue& queue = is_turnless(world, ticket) ? line.turnless : line.waiting;
  const auto full_error = [&](std::string queue_name, std::uint32_t limit, const TicketQueue& positions) {
    // A place comes free when the first of them starts.
    const Instant free = estimated_start(world, positions.begin()->ticket).value_or(world.now);
    const Duration retry_after = std::max<Duration>(free - world.now, std::chrono::seconds{1});
    return Error{ErrorCode::queue_full, queue_name + " is full (" + std::to_string(limit) + " waiting)",
                 retry_after};
  };
  if (before >= world.limits.max_queue) return full_error("the line", world.limits.max_queue, queue);
  if (!ticket.request.consumer) return std::nullopt;
  const ConsumerState& consumer = world.registry[*ticket.request.consumer];
  if (consumer.spec.max_queue == 0 || consumer.waiting_tickets <= consumer.spec.max_queue)
    return std::nullopt;
  const auto own = line.queues.find(ticket.request.consumer);
  return full_error("the line of " + consumer.spec.name, consumer.spec.max_queue,
                    own == line.queues.end() ? queue : own->second);
}

}  // namespace

LineState& primary_line(World& world, const Consumer& consumer) { return world.lines[consumer.device.value]; }

void mark_line_dirty(World& world, DeviceId device) {
  if (std::ranges::find(world.dirty_lines, device) == world.dirty_lines.end())
    world.dirty_lines.push_back(device);
}

void mark_line_dirty(World& world, const Consumer& consumer) {
  for (const DeviceId device : devices_of(consumer)) mark_line_dirty(world, device);
}

void mark_line_dirty(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.request)) mark_line_dirty(world, device);
}

void request_reading(World& world, Effects& out, DeviceId device) {
  world.lines[device.value].is_reading_pending = true;
  out.emplace_back(TakeReading{device});
}

LineState& line_of(World& world, const Ticket& ticket) { return world.lines[ticket.request.device.value]; }

Ticket* find_ticket(World& world, TicketId id) {
  const auto found = world.tickets.find(id);
  return found == world.tickets.end() ? nullptr : &found->second;
}

Bytes reservation(const Registry& registry, const TicketRequest& request) {
  if (!request.consumer || request.bytes > Bytes{}) return request.bytes;
  const Consumer& spec = registry[*request.consumer].spec;
  return spec.footprint + working_per_job(registry[*request.consumer]);
}

Bytes total_need(const Registry& registry, const TicketRequest& request) {
  if (!request.resident) return reservation(registry, request);
  return registry[*request.resident].footprint + working_per_job(registry[*request.consumer]);
}

namespace {

// What a lease gives back comes free a little later: until a reading has shown it, it is not counted on.
void record_returned_bytes(World& world, const TicketRequest& request) {
  const Registry& registry = world.registry;
  const Bytes total =
      request.resident ? working_per_job(registry[*request.consumer]) : reservation(registry, request);
  for (const DeviceId device : devices_of(registry, request)) {
    LineState& line = world.lines[device.value];
    line.returned_bytes +=
        request.consumer ? device_part(registry[*request.consumer].spec, device, total) : total;
    line.returned_at = world.now;
  }
}

}  // namespace

// A ticket that can't make its deadline is told so at once, by the same estimate that everybody sees.
void refuse_if_deadline_missed(World& world, Effects& out, const Ticket& ticket) {
  const auto start = estimated_start(world, ticket.id);
  if (!start || *start <= ticket.arrived_at + ticket.request.deadline) return;
  const Duration wait = *start - world.now;
  refuse_ticket(world, out, ticket.id,
                {ErrorCode::wait_limit, "it could start in about " + to_rounded_string(wait) +
                                            ", which is after its deadline of " +
                                            to_rounded_string(ticket.request.deadline)},
                wait);
}

void admit_ticket(World& world, Effects& out, TicketId id, const TicketRequest& request) {
  Ticket& ticket = world.tickets[id];
  MGPU_ASSERT(ticket.id == TicketId{}, "a ticket's number is used once");
  ticket = {.id = id, .request = request, .arrived_at = world.now};
  if (request.consumer) {
    Consumer& spec = world.registry[*request.consumer].spec;
    spec.device = choose_device(world, request);
    ticket.request.device = spec.device;
  }
  LineState& line = line_of(world, ticket);
  const Duration limit = wait_limit_of(world, request);
  ticket.expires_at =
      world.now + (request.deadline > Duration{0} ? std::min(limit, request.deadline) : limit);
  ticket.due = due_time(world, ticket);
  const std::size_t before = line.waiting.size() + line.turnless.size() + line.preparing.size();
  detect_succession(world, line, ticket.request);
  enqueue(world, ticket);
  world.expiries.emplace(ticket.expires_at, id);
  update_statistics(line.statistics, fact::Arrived{});

  if (world.draining)
    return refuse_ticket(world, out, id, {ErrorCode::shutting_down, "the daemon is shutting down"});
  if (const auto full = queue_full_error(world, ticket, before))
    return refuse_ticket(world, out, id, *full, full->retry_after);
  if (auto error = wrong_device_error(world.registry, request, ticket.request.device))
    return refuse_ticket(world, out, id, std::move(*error));
  if (auto error = never_fits_error(world.registry, ticket.request))
    return refuse_ticket(world, out, id, std::move(*error));
  if (request.deadline > Duration{0}) refuse_if_deadline_missed(world, out, ticket);
  if (const Ticket* admitted = find_ticket(world, id)) charge_user_share(world, *admitted);
}

void make_promise(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == TicketStage::waiting, "only a waiting ticket is promised anything");
  dequeue(world, ticket);
  drop_claim(world, ticket);
  for (const DeviceId device : devices_of(registry, ticket.request))
    world.lines[device.value].preparing.insert(ticket.id);
  ticket.stage = TicketStage::preparing;
  ticket.preparing_since = world.now;
  if (!ticket.request.consumer) {
    registry.bare_reserved[ticket.request.device.value] += reservation(registry, ticket.request);
  } else {
    ConsumerState& consumer = registry[*ticket.request.consumer];
    MGPU_ASSERT(consumer.running_leases + consumer.promised_tickets < consumer.spec.concurrency,
                "concurrency bounds a consumer's tickets");
    ++consumer.promised_tickets;
    if (consumer.spec.lease_only) consumer.leased_bytes += reservation(registry, ticket.request);
    if (ticket.request.resident) ++registry[*ticket.request.resident].use_count;
  }
  begin_turn(world, ticket);
}

void withdraw_promise(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == TicketStage::preparing, "only a promise is taken back");
  end_preparing(world, ticket);
  release_reservations(world, ticket);
  ticket.stage = TicketStage::waiting;
  enqueue(world, ticket);
}

void grant_ticket(World& world, Effects& out, Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == TicketStage::preparing, "a ticket is granted once");
  for (const DeviceId device : devices_of(registry, ticket.request)) {
    MGPU_ASSERT(headroom(registry, device) >= Bytes{}, "a grant never overcommits a device");
    ++world.lines[device.value].running_leases;
  }
  MGPU_ASSERT(!ticket.request.resident || registry[*ticket.request.resident].state == Residency::warm,
              "a lease exists only for a warm resident");
  end_preparing(world, ticket);
  world.expiries.erase({ticket.expires_at, ticket.id});
  if (ticket.request.consumer) {
    ConsumerState& consumer = registry[*ticket.request.consumer];
    --consumer.promised_tickets, ++consumer.running_leases;
  }
  ticket.stage = TicketStage::running;
  ticket.granted_at = world.now;
  ticket.expires_at = kNever;
  const Duration waited = world.now - ticket.arrived_at;
  update_statistics(line.statistics, fact::Granted{.at = world.now, .waited = waited});
  out.emplace_back(
      Grant{.ticket = ticket.id, .waited = waited, .loading = world.now - ticket.preparing_since});
}

void refuse_ticket(World& world, Effects& out, TicketId id, Error error, Duration retry_after) {
  Ticket& ticket = *find_ticket(world, id);
  LineState& line = line_of(world, ticket);
  MGPU_ASSERT(ticket.stage != TicketStage::running, "a lease can't be refused");
  if (ticket.stage == TicketStage::waiting) {
    dequeue(world, ticket);
    drop_claim(world, ticket);
  } else {
    end_preparing(world, ticket);
    release_reservations(world, ticket);
  }
  mark_line_dirty(world, ticket);
  world.expiries.erase({ticket.expires_at, id});
  update_statistics(line.statistics, fact::EndedWaiting{error.code});
  world.tickets.erase(id);
  out.emplace_back(Refuse{.ticket = id, .error = std::move(error), .retry_after = retry_after});
}

namespace {

// A ticket that is back in the line was there before others of its consumer, and what was loaded ahead for
// one of those would let it go first.
void drop_later_claims(World& world, const Ticket& ticket) {
  const LinePlace place{ticket.due, ticket.id};
  const std::set<TicketId> claims = line_of(world, ticket).claims;
  for (const TicketId id : claims)
    if (Ticket& other = *find_ticket(world, id);
        other.request.consumer == ticket.request.consumer && place < LinePlace{other.due, id})
      drop_claim(world, other);
}

}  // namespace

void requeue_ticket(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  MGPU_ASSERT(ticket.stage == TicketStage::running, "only a lease runs out of memory");
  LineState& line = line_of(world, ticket);
  release_reservations(world, ticket);
  const bool more_expected =
      ticket.request.resident && learn_out_of_memory(world.registry, *ticket.request.resident);
  update_statistics(line.statistics, fact::Requeued{});
  ticket.stage = TicketStage::waiting;
  ticket.expires_at = world.now + wait_limit_of(world, ticket.request);
  world.expiries.emplace(ticket.expires_at, id);
  enqueue(world, ticket);
  mark_line_dirty(world, ticket);
  out.emplace_back(Requeued{.ticket = id, .expected_bytes = total_need(world.registry, ticket.request)});
  if (ticket.request.resident && !more_expected)
    return refuse_ticket(
        world, out, id,
        {ErrorCode::out_of_memory, "its service ran out of device memory, and there is no more"});
  drop_later_claims(world, ticket);
}

void end_lease(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  MGPU_ASSERT(ticket.stage == TicketStage::running, "only a lease is released");
  LineState& line = line_of(world, ticket);
  release_reservations(world, ticket);
  mark_line_dirty(world, ticket);
  record_returned_bytes(world, ticket.request);
  const Duration run = world.now - ticket.granted_at;
  if (ticket.request.resident && !ticket.request.is_warm_up) {
    learn_run(world.registry, *ticket.request.resident, run, world.hour);
    Resident& resident = world.registry[*ticket.request.resident];
    if (resident.costs.runs % kRunsPerReport == 0)
      out.emplace_back(CostsLearned{*ticket.request.resident, resident.costs});
  }
  if (ticket.request.resident) record_use(world.registry, *ticket.request.resident, world.now);
  if (ticket.request.consumer && !ticket.request.is_warm_up)
    line.latest_release = TurnStreak{*ticket.request.consumer, world.now};
  update_statistics(line.statistics,
                    fact::Released{.at = world.now, .run = run, .counts_as_job = !ticket.request.is_warm_up});
  world.tickets.erase(id);
}

void claim_resident(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == TicketStage::waiting && !ticket.has_claim,
              "only a waiting ticket has its load begun ahead");
  ticket.has_claim = true;
  line_of(world, ticket).claims.insert(ticket.id);
  ++world.registry[*ticket.request.resident].use_count;
}

void drop_claim(World& world, Ticket& ticket) {
  if (!ticket.has_claim) return;
  ticket.has_claim = false;
  line_of(world, ticket).claims.erase(ticket.id);
  --world.registry[*ticket.request.resident].use_count;
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
  resident.is_loaded_ahead = !ticket || find_ticket(world, *ticket)->stage == TicketStage::waiting;
  resident.was_read_ahead = false;
  learn_load_start(world.registry, id, world.now);
  update_statistics(primary_line(world, spec).statistics,
                    fact::LoadStarted{.ahead = resident.is_loaded_ahead});
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
  mark_line_dirty(world, spec);
  LineState& line = primary_line(world, spec);
  if (result) {
    resident.state = Residency::warm;
    resident.consecutive_failures = 0;
    learn_load_end(world.registry, id, world.now, source);
    out.emplace_back(CostsLearned{id, resident.costs});
    return;
  }
  mark_unverified(world, out, spec);
  update_statistics(line.statistics, fact::LoadFailed{});
  resident.is_loaded_ahead = false;
  const bool ran_out = result.error().code == ErrorCode::out_of_memory;
  if (ran_out && learn_load_out_of_memory(world.registry, id) && resident.consecutive_failures == 0) {
    // It takes more than anybody knew. Those who wait for it go on waiting, until more room is made.
    ++resident.consecutive_failures;
    resident.state = Residency::cold;
    return;
  }
  const Duration doubled = saturating_product(world.limits.retry_backoff_first,
                                              1LL << std::min(resident.consecutive_failures, 20U));
  const Duration pause = std::min(doubled, world.limits.retry_backoff_max);
  resident.state = Residency::failed;
  resident.last_error = result.error();
  resident.retry_at = world.now + pause;
  ++resident.consecutive_failures;
  std::set<TicketId> affected = line.preparing;
  affected.insert(line.claims.begin(), line.claims.end());
  for (const TicketId ticket : affected)
    if (find_ticket(world, ticket)->request.resident == id)
      refuse_ticket(world, out, ticket, result.error(), pause);
}

void lose_service(World& world, Effects& out, ConsumerId id, const Error& error) {
  ConsumerState& consumer = world.registry[id];
  std::vector<TicketId> ended_leases;
  if (consumer.running_leases > 0)
    for (const auto& [ticket_id, ticket] : world.tickets)
      if (ticket.stage == TicketStage::running && ticket.request.consumer == id && ticket.request.resident)
        ended_leases.push_back(ticket_id);
  std::ranges::sort(ended_leases);  // equal events give equal effects, whatever the hash order
  for (const TicketId ticket : ended_leases) {
    end_lease(world, out, ticket);
    out.emplace_back(EndLease{.ticket = ticket, .error = error});
  }
  // What is loading or unloading hears of it by its own answer, which the shell owes or has given already.
  for (auto& [resident_id, eviction] : world.evictions)
    if (world.registry[resident_id].consumer == id) eviction.process_lost = true;
  for (const ResidentId resident_id : consumer.residents) {
    Resident& resident = world.registry[resident_id];
    if (error.code == ErrorCode::out_of_memory && resident.state == Residency::warm)
      learn_out_of_memory(world.registry, resident_id);
    if (resident.state == Residency::warm || resident.state == Residency::parked)
      resident.state = Residency::cold;
  }
  release_attribution(world.registry, consumer, std::nullopt);
  mark_line_dirty(world, consumer.spec);
  mark_unverified(world, out, consumer.spec);
}

}  // namespace mgpu
