#include "sched/transitions.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "registry/cost_learning.h"
#include "registry/usage_history.h"
#include "sched/found_state.h"
#include "sched/line_order.h"
#include "sched/placement.h"
#include "sched/start_estimate.h"

namespace mgpu {
namespace {

constexpr Duration kMaxSuccessionGap{20'000'000};  // work that begins later does not count as a succession
constexpr std::uint32_t kRunsPerReport = 16;       // a CostsLearned for each so many jobs

// A consumer's turn ends when the last of its promised and running tickets ends.
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

// Call when a process ended unexpectedly: only a later reading shows whether its memory is free.
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

enum class QueueChange : std::uint8_t { insert, erase };

template <class Set>
void change_set(Set& set, const typename Set::value_type& value, QueueChange change) {
  if (change == QueueChange::insert)
    set.insert(value);
  else
    set.erase(value);
}

// Keeps no empty queue.
template <class Queues>
void change_queue(Queues& queues, const typename Queues::key_type& key, LinePlace place, QueueChange change) {
  const auto queue = queues.try_emplace(key).first;
  change_set(queue->second, place, change);
  if (queue->second.empty()) queues.erase(queue);
}

// A new place is in one of the two sets. An erased one may be in either, whatever overtake_until says: the
// time of a ticket that was overtaken may be kNever too, if its bound saturates.
void change_overtake_sets(LineState& line, const Ticket& ticket, QueueChange change) {
  const LinePlace place{ticket.due, ticket.id};
  const bool has_deadline = ticket.overtake_until != kNever;
  if (change == QueueChange::erase || !has_deadline) change_set(line.never_overtaken, place, change);
  if (change == QueueChange::erase || has_deadline)
    change_set(line.overtake_deadlines, {ticket.overtake_until, place}, change);
}

void change_count(std::uint32_t& count, QueueChange change) {
  if (change == QueueChange::insert)
    ++count;
  else
    --count;
}

// Adds the ticket to the queues of all its lines and to the counts of waiting tickets, or removes it.
void change_queues(World& world, const Ticket& ticket, QueueChange change) {
  const LinePlace place{ticket.due, ticket.id};
  for (const DeviceId device : devices_of(world.registry, ticket.request)) {
    LineState& line = world.lines[device.value];
    if (is_turnless(world, ticket)) {
      change_set(line.turnless, place, change);
      change_queue(line.turnless_queues, *ticket.request.consumer, place, change);
    } else {
      change_set(line.waiting, place, change);
      change_queue(line.queues, ticket.request.consumer, place, change);
      change_overtake_sets(line, ticket, change);
    }
  }
  if (ticket.request.consumer) change_count(world.registry[*ticket.request.consumer].waiting_tickets, change);
  if (ticket.request.resident) change_count(world.registry[*ticket.request.resident].waiting, change);
}

void enqueue(World& world, const Ticket& ticket) { change_queues(world, ticket, QueueChange::insert); }
void dequeue(World& world, const Ticket& ticket) { change_queues(world, ticket, QueueChange::erase); }

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
                "no more turns are held on a device than its capacity");
  }
}

void end_preparing(World& world, const Ticket& ticket) {
  for (const DeviceId device : devices_of(world.registry, ticket.request))
    world.lines[device.value].preparing.erase(ticket.id);
}

// Releases what make_promise reserved, for a preparing or a running ticket.
void release_reservations(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  if (!ticket.request.consumer) {
    registry.bare_reserved[ticket.request.device.value] -= reservation(registry, ticket.request);
  } else {
    ConsumerState& consumer = registry[*ticket.request.consumer];
    std::uint32_t& count =
        ticket.stage == TicketStage::running ? consumer.running_leases : consumer.promised_tickets;
    MGPU_ASSERT(count > 0, "only a reservation that was made is released");
    --count;
    if (ticket.stage == TicketStage::running) consumer.last_lease_end = world.now;
    if (consumer.spec.lease_only) consumer.leased_bytes -= reservation(registry, ticket.request);
    if (ticket.request.resident && --registry[*ticket.request.resident].use_count == 0)
      drop_provisional_footprint(registry, *ticket.request.resident);
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

// An error if one of the ticket's devices is too small for it, even without other consumers.
std::optional<Error> never_fits_error(const Registry& registry, const TicketRequest& request) {
  for (const DeviceId id : devices_of(registry, request)) {
    const Device& device = registry.devices[id.value];
    const Bytes total = registry.readings[id.value].total, usable = total - device.reserve;
    const Bytes needed = device_need(registry, request, id);
    if (total > Bytes{} && needed > usable)
      return Error{ErrorCode::never_fits,
                   "needs " + to_string(needed) + ", but device " + device.name + " has only " +
                       to_string(usable) + " for all consumers: " + to_string(needed - usable) + " missing"};
  }
  return std::nullopt;
}

// An error if a certain device was requested, but the consumer is placed on another one.
std::optional<Error> wrong_device_error(const Registry& registry, const TicketRequest& request,
                                        DeviceId chosen) {
  if (!request.device_requested || request.device == chosen) return std::nullopt;
  return Error{ErrorCode::busy, registry[*request.consumer].spec.name + " is in use on device " +
                                    registry.devices[chosen.value].name + ", so it can't run on " +
                                    registry.devices[request.device.value].name +
                                    "; try again when it is unloaded, or name no device"};
}

// Records that this consumer's work follows another one's, if it begins soon after that.
void detect_succession(World& world, const LineState& line, const TicketRequest& request) {
  if (!line.latest_release || !request.consumer || line.latest_release->consumer == *request.consumer ||
      request.is_warm_up)
    return;
  if (world.now - line.latest_release->at <= kMaxSuccessionGap)
    record_succession(world.registry, line.latest_release->consumer, *request.consumer);
}

// An error if the line, or the consumer's part of it, is full. `queue_length`: tickets without this one.
std::optional<Error> queue_full_error(const World& world, const Ticket& ticket, std::size_t queue_length) {
  const LineState& line = world.lines[ticket.request.device.value];
  const TicketQueue& queue = is_turnless(world, ticket) ? line.turnless : line.waiting;
  const auto full_error = [&](const std::string& owner, std::uint32_t limit, const TicketQueue& full_queue) {
    // A retry can succeed when the first ticket of the queue starts.
    const Instant free_at = estimated_start(world, full_queue.begin()->ticket).value_or(world.now);
    const Duration retry_after = std::max<Duration>(free_at - world.now, std::chrono::seconds{1});
    return Error{ErrorCode::queue_full,
                 "the line of " + owner + " is full: " + std::to_string(limit) +
                     " tickets wait, which is its limit (max_queue)",
                 retry_after};
  };
  if (queue_length >= world.limits.max_queue)
    return full_error("device " + world.registry.devices[ticket.request.device.value].name,
                      world.limits.max_queue, queue);
  if (!ticket.request.consumer) return std::nullopt;
  const ConsumerState& consumer = world.registry[*ticket.request.consumer];
  if (consumer.spec.max_queue == 0 || consumer.waiting_tickets <= consumer.spec.max_queue)
    return std::nullopt;
  const auto own = line.queues.find(ticket.request.consumer);
  return full_error(consumer.spec.name, consumer.spec.max_queue,
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

bool is_latest_load_seen(const World& world, DeviceId device) {
  const Reading& reading = world.registry.readings[device.value];
  return reading.lost || reading.taken_at > world.lines[device.value].loaded_at;
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

// The memory of an ended lease comes free a little later. It is not used again until a reading has shown it.
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

// Refuses a ticket at once if its estimated start is after its deadline.
void refuse_if_deadline_missed(World& world, Effects& out, const Ticket& ticket) {
  const auto start = estimated_start(world, ticket.id);
  if (!start || *start <= ticket.arrived_at + ticket.request.deadline) return;
  const Duration wait = *start - world.now;
  refuse_ticket(world, out, ticket.id,
                {ErrorCode::wait_limit, "can't start before its deadline of " +
                                            to_rounded_string(ticket.request.deadline) +
                                            ": the estimated start is in " + to_rounded_string(wait)},
                wait);
}

}  // namespace

void admit_ticket(World& world, Effects& out, TicketId id, const TicketRequest& request) {
  Ticket& ticket = world.tickets[id];
  MGPU_ASSERT(ticket.id == TicketId{}, "a ticket id is used only once");
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
  const std::size_t queue_length = line.waiting.size() + line.turnless.size() + line.preparing.size();
  detect_succession(world, line, ticket.request);
  enqueue(world, ticket);
  world.expiries.emplace(ticket.expires_at, id);
  update_statistics(line.statistics, statistics_event::Arrived{});

  if (world.draining)
    return refuse_ticket(world, out, id, {ErrorCode::shutting_down, "the daemon is shutting down"});
  if (const auto error = queue_full_error(world, ticket, queue_length))
    return refuse_ticket(world, out, id, *error, error->retry_after);
  if (auto error = wrong_device_error(world.registry, request, ticket.request.device))
    return refuse_ticket(world, out, id, std::move(*error));
  if (request.resident && world.registry[*request.resident].is_gone)
    return refuse_ticket(world, out, id, gone_error(world.registry, world.registry[*request.resident]));
  if (auto error = never_fits_error(world.registry, ticket.request))
    return refuse_ticket(world, out, id, std::move(*error));
  if (request.deadline > Duration{0}) refuse_if_deadline_missed(world, out, ticket);
  if (const Ticket* admitted = find_ticket(world, id)) charge_user_share(world, *admitted);
}

void make_promise(World& world, Ticket& ticket) {
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == TicketStage::waiting, "only a waiting ticket is promised its turn and memory");
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
                "a consumer has no more promised and running tickets than its concurrency");
    ++consumer.promised_tickets;
    if (consumer.spec.lease_only) consumer.leased_bytes += reservation(registry, ticket.request);
    if (ticket.request.resident) ++registry[*ticket.request.resident].use_count;
  }
  begin_turn(world, ticket);
}

void withdraw_promise(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == TicketStage::preparing, "only a preparing ticket has a promise to withdraw");
  end_preparing(world, ticket);
  release_reservations(world, ticket);
  ticket.stage = TicketStage::waiting;
  enqueue(world, ticket);
}

void grant_ticket(World& world, Effects& out, Ticket& ticket) {
  LineState& line = line_of(world, ticket);
  Registry& registry = world.registry;
  MGPU_ASSERT(ticket.stage == TicketStage::preparing, "only a preparing ticket is granted");
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
  update_statistics(line.statistics, statistics_event::Granted{.at = world.now, .waited = waited});
  out.emplace_back(
      Grant{.ticket = ticket.id, .waited = waited, .loading = world.now - ticket.preparing_since});
}

void refuse_ticket(World& world, Effects& out, TicketId id, Error error, Duration retry_after) {
  Ticket& ticket = *find_ticket(world, id);
  LineState& line = line_of(world, ticket);
  MGPU_ASSERT(ticket.stage != TicketStage::running, "a running lease is ended, not refused");
  if (ticket.stage == TicketStage::waiting) {
    dequeue(world, ticket);
    drop_claim(world, ticket);
  } else {
    end_preparing(world, ticket);
    release_reservations(world, ticket);
  }
  mark_line_dirty(world, ticket);
  world.expiries.erase({ticket.expires_at, id});
  update_statistics(line.statistics, statistics_event::EndedWaiting{error.code});
  world.tickets.erase(id);
  out.emplace_back(Refuse{.ticket = id, .error = std::move(error), .retry_after = retry_after});
}

namespace {

// Drops the claims of later tickets of the same consumer. A requeued ticket stands before them, and their
// claims would let them overtake it.
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
  MGPU_ASSERT(ticket.stage == TicketStage::running, "only a running lease is requeued");
  LineState& line = line_of(world, ticket);
  release_reservations(world, ticket);
  const bool more_expected =
      ticket.request.resident && learn_out_of_memory(world.registry, *ticket.request.resident);
  update_statistics(line.statistics, statistics_event::Requeued{});
  ticket.stage = TicketStage::waiting;
  ticket.expires_at = world.now + wait_limit_of(world, ticket.request);
  world.expiries.emplace(ticket.expires_at, id);
  enqueue(world, ticket);
  mark_line_dirty(world, ticket);
  out.emplace_back(Requeued{.ticket = id, .expected_bytes = total_need(world.registry, ticket.request)});
  if (ticket.request.resident && !more_expected)
    return refuse_ticket(world, out, id,
                         {ErrorCode::out_of_memory,
                          "the service of " + world.registry[*ticket.request.consumer].spec.name +
                              " ran out of device memory, although it may use all of its devices' memory"});
  drop_later_claims(world, ticket);
}

void end_lease(World& world, Effects& out, TicketId id) {
  Ticket& ticket = *find_ticket(world, id);
  MGPU_ASSERT(ticket.stage == TicketStage::running, "only a running lease is released");
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
    line.latest_release = LatestRelease{*ticket.request.consumer, world.now};
  update_statistics(
      line.statistics,
      statistics_event::Released{.at = world.now, .run = run, .counts_as_job = !ticket.request.is_warm_up});
  world.tickets.erase(id);
}

void claim_resident(World& world, Ticket& ticket) {
  MGPU_ASSERT(ticket.stage == TicketStage::waiting && !ticket.has_claim,
              "only a waiting ticket claims a resident, and only once");
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
  MGPU_ASSERT(!holds_memory(resident), "a resident is loaded only while it is not in device memory");
  const bool parked = resident.state == Residency::parked;
  resident.state = Residency::loading;
  for (const DeviceId device : devices_of(spec)) {
    auto& loading = world.lines[device.value].loading;
    MGPU_ASSERT(!loading, "at most one load at a time runs on a device");
    MGPU_ASSERT(headroom(world.registry, device) >= Bytes{}, "a load never overcommits a device");
    loading = id;
  }
  resident.is_loaded_ahead = !ticket || find_ticket(world, *ticket)->stage == TicketStage::waiting;
  resident.was_read_ahead = false;
  resident.keep_alive.reset();
  learn_load_start(world.registry, id, world.now);
  update_statistics(primary_line(world, spec).statistics,
                    statistics_event::LoadStarted{.ahead = resident.is_loaded_ahead});
  out.emplace_back(Load{.resident = id, .ticket = ticket, .from_parked = parked});
}

void end_load(World& world, Effects& out, ResidentId id, const Result<void>& result, LoadSource source) {
  Resident& resident = world.registry[id];
  const Consumer& spec = world.registry[resident.consumer].spec;
  for (const DeviceId device : devices_of(spec)) {
    auto& loading = world.lines[device.value].loading;
    MGPU_ASSERT(loading == id && resident.state == Residency::loading && !resident.loads_by_itself,
                "LoadEnded answers a load that is in progress");
    loading.reset();
    world.lines[device.value].loaded_at = world.now;
    // Soon, before it is used and evicted: it may hold more than was expected.
    if (result && !world.lines[device.value].is_reading_pending) request_reading(world, out, device);
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
  update_statistics(line.statistics, statistics_event::LoadFailed{});
  resident.is_loaded_ahead = false;
  const bool ran_out = result.error().code == ErrorCode::out_of_memory;
  const bool more_expected = ran_out && learn_load_out_of_memory(world.registry, id);
  if (more_expected) out.emplace_back(CostsLearned{id, resident.costs});
  if (more_expected && resident.consecutive_failures == 0) {
    // The footprint was underestimated. The tickets stay, and more room is made for the next attempt.
    ++resident.consecutive_failures;
    resident.state = Residency::cold;
    return;
  }
  const Duration doubled = saturating_product(world.limits.retry_backoff_first,
                                              1LL << std::min(resident.consecutive_failures, 20U));
  const Duration backoff = std::min(doubled, world.limits.retry_backoff_max);
  resident.state = Residency::failed;
  resident.last_error = result.error();
  resident.retry_at = world.now + backoff;
  ++resident.consecutive_failures;
  std::set<TicketId> affected = line.preparing;
  affected.insert(line.claims.begin(), line.claims.end());
  for (const TicketId ticket : affected)
    if (find_ticket(world, ticket)->request.resident == id)
      refuse_ticket(world, out, ticket, result.error(), backoff);
}

void report_if_loaded_in_vain(World& world, Effects& out, ResidentId id) {
  Resident& resident = world.registry[id];
  if (!std::exchange(resident.is_loaded_ahead, false)) return;
  update_statistics(primary_line(world, world.registry[resident.consumer].spec).statistics,
                    statistics_event::LoadedInVain{});
  out.emplace_back(LoadedInVain{id});
}

void lose_service(World& world, Effects& out, ConsumerId id, const Error& error) {
  ConsumerState& consumer = world.registry[id];
  std::vector<TicketId> ended_leases;
  if (consumer.running_leases > 0)
    for (const auto& [ticket_id, ticket] : world.tickets)
      if (ticket.stage == TicketStage::running && ticket.request.consumer == id && ticket.request.resident)
        ended_leases.push_back(ticket_id);
  std::ranges::sort(ended_leases);  // the order of effects must not depend on the hash order
  for (const TicketId ticket : ended_leases) {
    end_lease(world, out, ticket);
    out.emplace_back(EndLease{.ticket = ticket, .error = error});
  }
  // Loads and rungs in progress get their own LoadEnded or RungEnded, so their states are not changed here.
  for (auto& [resident_id, eviction] : world.evictions)
    if (world.registry[resident_id].consumer == id) eviction.has_left = true;
  for (const ResidentId resident_id : consumer.residents) {
    Resident& resident = world.registry[resident_id];
    if (error.code == ErrorCode::out_of_memory && resident.state == Residency::warm)
      learn_out_of_memory(world.registry, resident_id);
    if (resident.state == Residency::warm || resident.state == Residency::parked || resident.loads_by_itself)
      resident.state = Residency::cold;
    resident.loads_by_itself = resident.was_dropped = false;
    drop_provisional_footprint(world.registry, resident_id);
  }
  release_attribution(world.registry, consumer, std::nullopt);
  mark_line_dirty(world, consumer.spec);
  mark_unverified(world, out, consumer.spec);
}

}  // namespace mgpu
