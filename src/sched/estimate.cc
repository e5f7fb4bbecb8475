#include "sched/estimate.h"

#include <algorithm>

#include "plan/victim_selection.h"
#include "registry/costs.h"
#include "sched/order.h"

namespace mgpu {
namespace {

constexpr int kOverdue = 4;  // a job that outlasted its estimate is given a quarter of it once more

using Start = std::pair<TicketId, Instant>;

// One playing through of a device's line.
class Play {
 public:
  Play(const World& world, DeviceId device)
      : world_(world),
        device_(device),
        line_(world.lines[device.value]),
        affinity_(world.limits.policy == Policy::affinity),
        turns_(world.registry.devices[device.value].capacity),
        room_(headroom(world.registry, device)),
        clock_(world.now) {
    seat_those_who_hold();
    note_residents();
    for (const auto& [consumer, queue] : line_.queues) heads_.push_back({queue.begin(), queue.end()});
  }

  // Plays on until `wanted` has started, or as far as it goes; those that it got to, in order.
  std::vector<Start> starts(std::optional<TicketId> wanted) {
    std::vector<Start> found;
    const auto note = [&](const Ticket& ticket, Instant at) {
      found.emplace_back(ticket.id, at);
      return wanted == ticket.id;
    };
    for (const TicketId id : line_.preparing)
      if (const Ticket& ticket = world_.tickets.at(id); note(ticket, made_ready(ticket))) return found;
    for (const Place& place : line_.turnless) {
      const Ticket& ticket = world_.tickets.at(place.ticket);
      if (found.size() >= kPlayedThrough || note(ticket, start_without_turn(ticket))) return found;
    }
    while (found.size() < kPlayedThrough) {
      const Ticket* next = next_to_start();
      if (next == nullptr || note(*next, start(*next))) return found;
    }
    return found;
  }

 private:
  struct Turn {
    std::optional<ConsumerId> owner{};
    std::vector<Instant> ends{};  // of the jobs that run in it
    Instant over() const { return ends.empty() ? Instant{} : *std::ranges::max_element(ends); }
  };
  struct Held {
    ResidentId resident{};
    ConsumerId consumer{};
    Bytes bytes{};
    Instant last_used{};
    Instant ready{};  // when it will be warm
    bool stays = false;
  };
  struct Head {
    Lane::const_iterator next;
    Lane::const_iterator end;
  };

  const Consumer* spec_of(const Ticket& ticket) const {
    return ticket.ask.consumer ? &world_.registry[*ticket.ask.consumer].spec : nullptr;
  }

  bool is_here(const Ticket& ticket) const { return is_on_device(world_.registry, ticket.ask, device_); }

  // Of what a ticket's consumer needs in all, what it needs here.
  Bytes part(const TicketRequest& ask, Bytes whole) const {
    return device_part(world_.registry[*ask.consumer].spec, device_, whole);
  }

  Duration run_of(const Ticket& ticket) const {
    const Duration last = line_.statistics.last_run;
    const Duration usual = last > Duration{0} ? last : kDefaultRunTime;
    return ticket.ask.resident ? run_time(world_.registry[*ticket.ask.resident], usual) : usual;
  }

  Instant expected_end(const Ticket& ticket) const {
    const Duration run = run_of(ticket);
    return std::max(ticket.granted + run, world_.now + run / kOverdue);
  }

  Instant loaded(const Resident& resident, Instant from) const {
    if (resident.state == Residency::warm) return from;
    if (resident.state == Residency::loading)
      return std::max(from, resident.transition_at + load_time(resident, LoadSource::cached));
    return std::max(from, resident.retry_at) + load_time(resident);
  }

  // When a ticket that has its turn already can run.
  Instant made_ready(const Ticket& ticket) const {
    Instant at = world_.now;
    for (const auto& [id, eviction] : world_.evictions) {
      const Resident& leaving = world_.registry[id];
      if (!is_on_device(world_.registry[leaving.consumer].spec, device_)) continue;
      at = std::max(at, leaving.transition_at + unload_time(leaving));
    }
    return ticket.ask.resident ? loaded(world_.registry[*ticket.ask.resident], at) : at;
  }

  void seat_those_who_hold() {
    for (std::size_t i = 0; i < line_.turns.size() && i < turns_.size(); ++i)
      turns_[i].owner = line_.turns[i];
    std::size_t free = std::min(line_.turns.size(), turns_.size());
    std::vector<const Ticket*> holders;
    if (line_.leases > 0) {
      for (const auto& [id, ticket] : world_.tickets)
        if (ticket.stage == Stage::running && is_here(ticket)) holders.push_back(&ticket);
    }
    for (const TicketId id : line_.preparing) holders.push_back(&world_.tickets.at(id));
    std::ranges::sort(holders, {},
                      [](const Ticket* ticket) { return ticket->id; });  // not in the hash's order
    for (const Ticket* ticket : holders) {
      const Consumer* spec = spec_of(*ticket);
      if (spec != nullptr && spec->turnless) continue;
      Turn* turn = spec == nullptr ? nullptr : turn_of(*ticket->ask.consumer);
      if (turn == nullptr && free < turns_.size()) turn = &turns_[free++];
      if (turn == nullptr) continue;
      const bool runs = ticket->stage == Stage::running;
      turn->ends.push_back(runs ? expected_end(*ticket) : made_ready(*ticket) + run_of(*ticket));
    }
  }

  void note_residents() {
    for (std::size_t i = 0; i < world_.registry.residents.size(); ++i) {
      const Resident& resident = world_.registry.residents[i];
      const Consumer& spec = world_.registry[resident.consumer].spec;
      const bool there = resident.state == Residency::warm || resident.state == Residency::loading ||
                         resident.use_count > 0;  // promised
      if (!is_on_device(spec, device_) || !there) continue;
      held_.push_back({.resident = {i},
                       .consumer = resident.consumer,
                       .bytes = eviction_yield(world_.registry, resident, device_),
                       .last_used = resident.last_used,
                       .ready = loaded(resident, world_.now),
                       .stays = spec.pinned || !(spec.can_park || spec.can_unload || spec.can_stop)});
    }
  }

  Turn* turn_of(ConsumerId consumer) {
    const auto found = std::ranges::find(turns_, consumer, &Turn::owner);
    return found == turns_.end() ? nullptr : &*found;
  }

  Held* held(const Ticket& ticket) {
    const auto found = std::ranges::find(held_, ticket.ask.resident, &Held::resident);
    return found == held_.end() ? nullptr : &*found;
  }

  bool is_there(const Ticket& ticket) { return !ticket.ask.resident || held(ticket) != nullptr; }

  // Makes room by sending away whoever was used longest ago; when the ticket's memory is there.
  Instant with_room(const Ticket& ticket, Instant from) {
    const Registry& registry = world_.registry;
    const TicketRequest& ask = ticket.ask;
    Bytes needed = ask.consumer ? part(ask, working_per_job(registry[*ask.consumer])) : ask.bytes;
    if (ask.resident && held(ticket) == nullptr) needed += part(ask, registry[*ask.resident].footprint);
    Instant at = from;
    while (room_ < needed) {
      auto victim = held_.end();
      for (auto one = held_.begin(); one != held_.end(); ++one) {
        const Turn* turn = turn_of(one->consumer);
        const bool busy = turn != nullptr && turn->over() > from;
        if (one->stays || busy || one->resident == ask.resident) continue;
        if (victim == held_.end() || one->last_used < victim->last_used) victim = one;
      }
      if (victim == held_.end()) break;  // others will have to end first; the line knows, the guess does not
      at = std::max(at, from + unload_time(registry[victim->resident]));
      room_ += victim->bytes;
      held_.erase(victim);
    }
    return at;
  }

  // When its resident is warm, if room for it can be made from `from` on.
  Instant with_resident(const Ticket& ticket, Instant from) {
    if (!ticket.ask.resident) return with_room(ticket, from);
    const Resident& resident = world_.registry[*ticket.ask.resident];
    if (Held* there = held(ticket)) {
      there->last_used = std::max(from, there->ready);
      return std::max(with_room(ticket, from), there->last_used);
    }
    const Bytes footprint = part(ticket.ask, resident.footprint);
    const bool fits_beside =
        room_ >= footprint + part(ticket.ask, working_per_job(world_.registry[*ticket.ask.consumer]));
    const bool loads_ahead = affinity_ && world_.limits.load_ahead && fits_beside;
    const Instant begins = loads_ahead ? std::min(from, clock_) : with_room(ticket, from);
    // One that leaves in the play and comes back has its state of now no more.
    const bool was_there = resident.state == Residency::warm || resident.state == Residency::loading;
    const Instant loaded_at =
        was_there ? begins + load_time(resident, LoadSource::cached) : loaded(resident, begins);
    const Instant ready = std::max(from, loaded_at);
    room_ -= footprint;
    held_.push_back({.resident = *ticket.ask.resident,
                     .consumer = *ticket.ask.consumer,
                     .bytes = footprint,
                     .last_used = ready,
                     .ready = ready});
    return ready;
  }

  Instant start_without_turn(const Ticket& ticket) { return with_resident(ticket, world_.now); }

  // The turn that the ticket would get, and from when on.
  std::pair<Turn*, Instant> turn_for(const Ticket& ticket) {
    const Consumer* spec = spec_of(ticket);
    Turn* own = spec == nullptr ? nullptr : turn_of(*ticket.ask.consumer);
    if (own != nullptr && own->ends.size() < spec->concurrency) return {own, world_.now};
    if (own != nullptr) return {own, std::max(world_.now, *std::ranges::min_element(own->ends))};
    Turn* first = &*std::ranges::min_element(turns_, {}, &Turn::over);
    return {first, std::max(world_.now, first->over())};
  }

  Instant start(const Ticket& ticket) {
    auto [turn, from] = turn_for(ticket);
    if (turn->owner != ticket.ask.consumer || !ticket.ask.consumer) turn->ends.clear();
    turn->owner = ticket.ask.consumer;
    if (!affinity_) from = std::max(from, clock_);  // nobody starts before whoever stood before them
    const Instant at = with_resident(ticket, from);
    std::erase_if(turn->ends, [&](Instant end) { return end <= at; });
    turn->ends.push_back(at + run_of(ticket));
    clock_ = std::max(clock_, at);
    return at;
  }

  // Takes the ticket off its queue.
  const Ticket* next_to_start() {
    Head* first = nullptr;
    for (Head& head : heads_)
      if (head.next != head.end && (first == nullptr || *head.next < *first->next)) first = &head;
    if (first == nullptr) return nullptr;
    Head* chosen = affinity_ ? preferred(*first) : first;
    if (chosen != first) bear(*first);
    return &world_.tickets.at((chosen->next++)->ticket);
  }

  // Those of the turn first, then those whose resident is there; whoever was passed for long enough before
  // all.
  Head* preferred(Head& first) {
    const Ticket& oldest = world_.tickets.at(first.next->ticket);
    const Instant passed_since = passed_ == oldest.id ? passed_until_ : kNever;
    if (std::max(clock_, world_.now) >= std::min(oldest.overtake_until, passed_since)) return &first;
    Head* best = &first;
    int liking = liking_of(oldest);
    for (Head& head : heads_) {
      if (head.next == head.end) continue;
      const int its = liking_of(world_.tickets.at(head.next->ticket));
      if (its > liking || (its == liking && *head.next < *best->next)) best = &head, liking = its;
    }
    return best;
  }

  int liking_of(const Ticket& ticket) {
    if (!is_there(ticket)) return 0;
    return ticket.ask.consumer && turn_of(*ticket.ask.consumer) != nullptr ? 2 : 1;
  }

  // The first of the line is passed: from the first time on it bears that only so long.
  void bear(const Head& first) {
    const Ticket& ticket = world_.tickets.at(first.next->ticket);
    if (passed_ == ticket.id) return;
    passed_ = ticket.id;
    passed_until_ = std::max(clock_, world_.now) + overtake_bound(world_, ticket);
  }

  const World& world_;
  DeviceId device_;
  const LineState& line_;
  bool affinity_ = false;
  std::vector<Turn> turns_;
  Bytes room_{};
  Instant clock_{};  // when the latest of the line started
  std::vector<Held> held_{};
  std::vector<Head> heads_{};
  TicketId passed_{};
  Instant passed_until_ = kNever;
};

// What comes after the played ones goes on at their pace.
Duration pace_of(const std::vector<Start>& played, Instant now) {
  if (played.empty()) return kDefaultRunTime;
  return (std::ranges::max_element(played, {}, &Start::second)->second - now) /
         static_cast<std::int64_t>(played.size());
}

bool is_lost(const World& world, DeviceId device) { return world.registry.readings[device.value].lost; }

std::optional<Instant> estimated_start_on(const World& world, DeviceId device, const Ticket& ticket) {
  if (is_lost(world, device)) return std::nullopt;
  const std::vector<Start> played = Play(world, device).starts(ticket.id);
  if (!played.empty() && played.back().first == ticket.id) return played.back().second;
  const LineState& line = world.lines[device.value];
  const auto all = static_cast<std::int64_t>(line.preparing.size() + line.turnless.size());
  const auto before =
      all + std::distance(line.waiting.begin(), line.waiting.lower_bound(Place{ticket.due, ticket.id}));
  return world.now + pace_of(played, world.now) * (before + 1);
}

}  // namespace

std::optional<Instant> estimated_start(const World& world, TicketId id) {
  const auto ticket = world.tickets.find(id);
  if (ticket == world.tickets.end() || ticket->second.stage == Stage::running) return std::nullopt;
  Instant start = world.now;
  for (const DeviceId device : devices_of(world.registry, ticket->second.ask)) {
    const auto here = estimated_start_on(world, device, ticket->second);
    if (!here) return std::nullopt;
    start = std::max(start, *here);
  }
  return start;
}

std::vector<Start> estimated_starts(const World& world, DeviceId device) {
  if (is_lost(world, device)) return {};
  const LineState& line = world.lines[device.value];
  std::vector<Start> starts = Play(world, device).starts(std::nullopt);
  std::ranges::sort(starts, {}, [](const Start& start) { return std::pair(start.second, start.first); });
  if (starts.size() == line.preparing.size() + line.turnless.size() + line.waiting.size()) return starts;
  const Duration pace = pace_of(starts, world.now);
  std::set<TicketId> played;
  for (const Start& start : starts) played.insert(start.first);
  Instant last = starts.empty() ? world.now : starts.back().second;
  for (const Lane* lane : {&line.turnless, &line.waiting})
    for (const Place& place : *lane)
      if (!played.contains(place.ticket)) starts.emplace_back(place.ticket, last = last + pace);
  return starts;
}

}  // namespace mgpu
