#include "sched/start_estimate.h"

#include <algorithm>

#include "plan/victim_selection.h"
#include "registry/costs.h"
#include "sched/line_order.h"

namespace mgpu {
namespace {

constexpr int kOverdueDivisor = 4;  // a job past its expected end is expected to run a quarter of it longer

using EstimatedStart = std::pair<TicketId, Instant>;

// A simulation of a device's line, for one estimate.
class LineSimulation {
 public:
  LineSimulation(const World& world, DeviceId device)
      : world_(world),
        device_(device),
        line_(world.lines[device.value]),
        affinity_(world.limits.policy == Policy::affinity),
        turns_(world.registry.devices[device.value].capacity),
        available_(headroom(world.registry, device)),
        latest_start_(world.now) {
    assign_turns();
    collect_residents();
    for (const auto& [consumer, queue] : line_.queues) queues_.push_back({queue.begin(), queue.end()});
  }

  // Simulates until `until_ticket` has started, or kMaxSimulatedStarts. Returns the starts in simulated
  // order.
  std::vector<EstimatedStart> simulate_starts(std::optional<TicketId> until_ticket) {
    std::vector<EstimatedStart> starts;
    const auto add_start = [&](const Ticket& ticket, Instant at) {
      starts.emplace_back(ticket.id, at);
      return until_ticket == ticket.id;
    };
    for (const TicketId id : line_.preparing)
      if (const Ticket& ticket = world_.tickets.at(id); add_start(ticket, prepared_at(ticket))) return starts;
    for (const LinePlace& place : line_.turnless) {
      const Ticket& ticket = world_.tickets.at(place.ticket);
      if (starts.size() >= kMaxSimulatedStarts || add_start(ticket, start_turnless(ticket))) return starts;
    }
    while (starts.size() < kMaxSimulatedStarts) {
      const Ticket* next = pop_next_ticket();
      if (next == nullptr || add_start(*next, start_ticket(*next))) return starts;
    }
    return starts;
  }

 private:
  struct SimulatedTurn {
    std::optional<ConsumerId> owner{};
    std::vector<Instant> job_ends{};
    Instant free_at() const { return job_ends.empty() ? Instant{} : *std::ranges::max_element(job_ends); }
  };
  struct SimulatedResident {
    ResidentId resident{};
    ConsumerId consumer{};
    Bytes bytes{};
    Instant last_used{};
    Instant warm_at{};
    bool is_unevictable = false;
  };
  struct QueueCursor {
    TicketQueue::const_iterator next;
    TicketQueue::const_iterator end;
  };

  const Consumer* spec_of(const Ticket& ticket) const {
    return ticket.request.consumer ? &world_.registry[*ticket.request.consumer].spec : nullptr;
  }

  bool is_on_this_device(const Ticket& ticket) const {
    return is_on_device(world_.registry, ticket.request, device_);
  }

  // The part of `total` on this device.
  Bytes local_part(const TicketRequest& request, Bytes total) const {
    return device_part(world_.registry[*request.consumer].spec, device_, total);
  }

  Duration expected_run(const Ticket& ticket) const {
    const Duration last = line_.statistics.last_run;
    const Duration fallback = last > Duration{0} ? last : kDefaultRunTime;
    return ticket.request.resident ? run_time(world_.registry[*ticket.request.resident], fallback) : fallback;
  }

  Instant expected_end(const Ticket& ticket) const {
    const Duration run = expected_run(ticket);
    return std::max(ticket.granted_at + run, world_.now + run / kOverdueDivisor);
  }

  Instant load_end(const Resident& resident, Instant from) const {
    if (resident.state == Residency::warm) return from;
    if (resident.state == Residency::loading)
      return std::max(from, resident.transition_at + load_time(resident, LoadSource::cached));
    return std::max(from, resident.retry_at) + load_time(resident);
  }

  // The start of a preparing ticket: after the evictions in progress and its load.
  Instant prepared_at(const Ticket& ticket) const {
    Instant at = world_.now;
    for (const auto& [id, eviction] : world_.evictions) {
      const Resident& evicted = world_.registry[id];
      if (!is_on_device(world_.registry[evicted.consumer].spec, device_)) continue;
      at = std::max(at, evicted.transition_at + unload_time(evicted));
    }
    return ticket.request.resident ? load_end(world_.registry[*ticket.request.resident], at) : at;
  }

  void assign_turns() {
    for (std::size_t i = 0; i < line_.turns.size() && i < turns_.size(); ++i)
      turns_[i].owner = line_.turns[i];
    std::size_t next_free = std::min(line_.turns.size(), turns_.size());
    std::vector<const Ticket*> holders;
    if (line_.running_leases > 0) {
      for (const auto& [id, ticket] : world_.tickets)
        if (ticket.stage == TicketStage::running && is_on_this_device(ticket)) holders.push_back(&ticket);
    }
    for (const TicketId id : line_.preparing) holders.push_back(&world_.tickets.at(id));
    // The result must not depend on the hash order.
    std::ranges::sort(holders, {}, [](const Ticket* ticket) { return ticket->id; });
    for (const Ticket* ticket : holders) {
      const Consumer* spec = spec_of(*ticket);
      if (spec != nullptr && spec->turnless) continue;
      SimulatedTurn* turn = spec == nullptr ? nullptr : find_turn(*ticket->request.consumer);
      if (turn == nullptr && next_free < turns_.size()) turn = &turns_[next_free++];
      if (turn == nullptr) continue;
      const bool runs = ticket->stage == TicketStage::running;
      turn->job_ends.push_back(runs ? expected_end(*ticket) : prepared_at(*ticket) + expected_run(*ticket));
    }
  }

  void collect_residents() {
    for (std::size_t i = 0; i < world_.registry.residents.size(); ++i) {
      const Resident& resident = world_.registry.residents[i];
      const Consumer& spec = world_.registry[resident.consumer].spec;
      const bool is_expected =
          resident.state == Residency::warm || resident.state == Residency::loading || resident.use_count > 0;
      if (!is_on_device(spec, device_) || !is_expected) continue;
      residents_.push_back(
          {.resident = {i},
           .consumer = resident.consumer,
           .bytes = eviction_yield(world_.registry, resident, device_),
           .last_used = resident.last_used,
           .warm_at = load_end(resident, world_.now),
           .is_unevictable = spec.pinned || !(spec.can_park || spec.can_unload || spec.can_stop)});
    }
  }

  SimulatedTurn* find_turn(ConsumerId consumer) {
    const auto found = std::ranges::find(turns_, consumer, &SimulatedTurn::owner);
    return found == turns_.end() ? nullptr : &*found;
  }

  SimulatedResident* find_resident(const Ticket& ticket) {
    const auto found = std::ranges::find(residents_, ticket.request.resident, &SimulatedResident::resident);
    return found == residents_.end() ? nullptr : &*found;
  }

  bool is_in_memory(const Ticket& ticket) {
    return !ticket.request.resident || find_resident(ticket) != nullptr;
  }

  // Makes room by evicting the least recently used residents. Returns when the ticket's memory is free.
  Instant make_room(const Ticket& ticket, Instant from) {
    const Registry& registry = world_.registry;
    const TicketRequest& request = ticket.request;
    Bytes needed =
        request.consumer ? local_part(request, working_per_job(registry[*request.consumer])) : request.bytes;
    if (request.resident && find_resident(ticket) == nullptr)
      needed += local_part(request, registry[*request.resident].footprint);
    Instant at = from;
    while (available_ < needed) {
      auto victim = residents_.end();
      for (auto candidate = residents_.begin(); candidate != residents_.end(); ++candidate) {
        const SimulatedTurn* turn = find_turn(candidate->consumer);
        const bool is_busy = turn != nullptr && turn->free_at() > from;
        if (candidate->is_unevictable || is_busy || candidate->resident == request.resident) continue;
        if (victim == residents_.end() || candidate->last_used < victim->last_used) victim = candidate;
      }
      if (victim == residents_.end()) break;  // running leases would have to end first: not simulated
      at = std::max(at, from + unload_time(registry[victim->resident]));
      available_ += victim->bytes;
      residents_.erase(victim);
    }
    return at;
  }

  // Loads the ticket's resident if needed, with room made from `from` on. Returns when the ticket can run.
  Instant bring_in_resident(const Ticket& ticket, Instant from) {
    if (!ticket.request.resident) return make_room(ticket, from);
    const Resident& resident = world_.registry[*ticket.request.resident];
    if (SimulatedResident* loaded = find_resident(ticket)) {
      loaded->last_used = std::max(from, loaded->warm_at);
      return std::max(make_room(ticket, from), loaded->last_used);
    }
    const Bytes footprint = local_part(ticket.request, resident.footprint);
    const bool fits_beside =
        available_ >=
        footprint + local_part(ticket.request, working_per_job(world_.registry[*ticket.request.consumer]));
    const bool loads_ahead = affinity_ && world_.limits.load_ahead && fits_beside;
    const Instant load_start = loads_ahead ? std::min(from, latest_start_) : make_room(ticket, from);
    // A resident that was evicted in the simulation is loaded again from the page cache, whatever its state.
    const bool is_loaded_now = resident.state == Residency::warm || resident.state == Residency::loading;
    const Instant loaded_at =
        is_loaded_now ? load_start + load_time(resident, LoadSource::cached) : load_end(resident, load_start);
    const Instant ready = std::max(from, loaded_at);
    available_ -= footprint;
    residents_.push_back({.resident = *ticket.request.resident,
                          .consumer = *ticket.request.consumer,
                          .bytes = footprint,
                          .last_used = ready,
                          .warm_at = ready});
    return ready;
  }

  Instant start_turnless(const Ticket& ticket) { return bring_in_resident(ticket, world_.now); }

  // The turn that the ticket gets, and the time from which it can have it.
  std::pair<SimulatedTurn*, Instant> pick_turn(const Ticket& ticket) {
    const Consumer* spec = spec_of(ticket);
    SimulatedTurn* own = spec == nullptr ? nullptr : find_turn(*ticket.request.consumer);
    if (own != nullptr && own->job_ends.size() < spec->concurrency) return {own, world_.now};
    if (own != nullptr) return {own, std::max(world_.now, *std::ranges::min_element(own->job_ends))};
    SimulatedTurn* first_free = &*std::ranges::min_element(turns_, {}, &SimulatedTurn::free_at);
    return {first_free, std::max(world_.now, first_free->free_at())};
  }

  Instant start_ticket(const Ticket& ticket) {
    auto [turn, from] = pick_turn(ticket);
    if (turn->owner != ticket.request.consumer || !ticket.request.consumer) turn->job_ends.clear();
    turn->owner = ticket.request.consumer;
    if (!affinity_) from = std::max(from, latest_start_);  // fifo: not before the ticket in front of it
    const Instant at = bring_in_resident(ticket, from);
    std::erase_if(turn->job_ends, [&](Instant end) { return end <= at; });
    turn->job_ends.push_back(at + expected_run(ticket));
    latest_start_ = std::max(latest_start_, at);
    return at;
  }

  // Removes the next ticket from its queue; null if none is left.
  const Ticket* pop_next_ticket() {
    QueueCursor* first = nullptr;
    for (QueueCursor& head : queues_)
      if (head.next != head.end && (first == nullptr || *head.next < *first->next)) first = &head;
    if (first == nullptr) return nullptr;
    QueueCursor* chosen = affinity_ ? pick_preferred(*first) : first;
    if (chosen != first) mark_overtaken(*first);
    return &world_.tickets.at((chosen->next++)->ticket);
  }

  // The queue of the first ticket if that is past its overtake bound. Otherwise that of the highest
  // preference.
  QueueCursor* pick_preferred(QueueCursor& first) {
    const Ticket& oldest = world_.tickets.at(first.next->ticket);
    const Instant simulated_until = overtaken_ == oldest.id ? overtake_until_ : kNever;
    if (std::max(latest_start_, world_.now) >= std::min(oldest.overtake_until, simulated_until))
      return &first;
    QueueCursor* best = &first;
    int best_rank = preference_rank(oldest);
    for (QueueCursor& head : queues_) {
      if (head.next == head.end) continue;
      const int rank = preference_rank(world_.tickets.at(head.next->ticket));
      if (rank > best_rank || (rank == best_rank && *head.next < *best->next)) best = &head, best_rank = rank;
    }
    return best;
  }

  // 2: its consumer holds a turn and its resident is loaded. 1: its resident is loaded. 0: otherwise.
  int preference_rank(const Ticket& ticket) {
    if (!is_in_memory(ticket)) return 0;
    return ticket.request.consumer && find_turn(*ticket.request.consumer) != nullptr ? 2 : 1;
  }

  // Starts the overtake bound of the first ticket when it is overtaken for the first time.
  void mark_overtaken(const QueueCursor& first) {
    const Ticket& ticket = world_.tickets.at(first.next->ticket);
    if (overtaken_ == ticket.id) return;
    overtaken_ = ticket.id;
    overtake_until_ = std::max(latest_start_, world_.now) + overtake_bound(world_, ticket);
  }

  const World& world_;
  DeviceId device_;
  const LineState& line_;
  bool affinity_ = false;
  std::vector<SimulatedTurn> turns_;
  Bytes available_{};
  Instant latest_start_{};  // of the simulated tickets
  std::vector<SimulatedResident> residents_{};
  std::vector<QueueCursor> queues_{};
  TicketId overtaken_{};
  Instant overtake_until_ = kNever;
};

// The average interval between the simulated starts.
Duration average_interval(const std::vector<EstimatedStart>& simulated, Instant now) {
  if (simulated.empty()) return kDefaultRunTime;
  return (std::ranges::max_element(simulated, {}, &EstimatedStart::second)->second - now) /
         static_cast<std::int64_t>(simulated.size());
}

bool is_device_lost(const World& world, DeviceId device) {
  return world.registry.readings[device.value].lost;
}

std::optional<Instant> estimated_start_on(const World& world, DeviceId device, const Ticket& ticket) {
  if (is_device_lost(world, device)) return std::nullopt;
  const std::vector<EstimatedStart> simulated = LineSimulation(world, device).simulate_starts(ticket.id);
  if (!simulated.empty() && simulated.back().first == ticket.id) return simulated.back().second;
  const LineState& line = world.lines[device.value];
  const auto waiting_before =
      std::distance(line.waiting.begin(), line.waiting.lower_bound(LinePlace{ticket.due, ticket.id}));
  const auto starts_before =
      static_cast<std::int64_t>(line.preparing.size() + line.turnless.size()) + waiting_before;
  return world.now + average_interval(simulated, world.now) * (starts_before + 1);
}

}  // namespace

std::optional<Instant> estimated_start(const World& world, TicketId id) {
  const auto ticket = world.tickets.find(id);
  if (ticket == world.tickets.end() || ticket->second.stage == TicketStage::running) return std::nullopt;
  Instant start = world.now;
  for (const DeviceId device : devices_of(world.registry, ticket->second.request)) {
    const auto device_start = estimated_start_on(world, device, ticket->second);
    if (!device_start) return std::nullopt;
    start = std::max(start, *device_start);
  }
  return start;
}

std::vector<EstimatedStart> estimated_starts(const World& world, DeviceId device) {
  if (is_device_lost(world, device)) return {};
  const LineState& line = world.lines[device.value];
  std::vector<EstimatedStart> starts = LineSimulation(world, device).simulate_starts(std::nullopt);
  std::ranges::sort(starts, {},
                    [](const EstimatedStart& start) { return std::pair(start.second, start.first); });
  if (starts.size() == line.preparing.size() + line.turnless.size() + line.waiting.size()) return starts;
  const Duration interval = average_interval(starts, world.now);
  std::set<TicketId> simulated;
  for (const EstimatedStart& start : starts) simulated.insert(start.first);
  Instant last = starts.empty() ? world.now : starts.back().second;
  for (const TicketQueue* queue : {&line.turnless, &line.waiting})
    for (const LinePlace& place : *queue)
      if (!simulated.contains(place.ticket)) starts.emplace_back(place.ticket, last = last + interval);
  return starts;
}

}  // namespace mgpu
