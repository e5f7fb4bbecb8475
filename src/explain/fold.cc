// One walk over the journal. What is under way on the ticket's devices is kept beside; whenever time passes
// while the ticket waits, the cause of that is concluded and added to the last segment, or begins a new one.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include "explain/explanation.h"

namespace mgpu::explain {
namespace {

template <class T>
const T* happening(const JournalEntry& entry) {
  const auto* happened = std::get_if<EventPayload>(&entry.payload);
  return happened == nullptr ? nullptr : std::get_if<T>(happened);
}
template <class T>
const T* effect(const JournalEntry& entry) {
  const auto* followed = std::get_if<Effect>(&entry.payload);
  return followed == nullptr ? nullptr : std::get_if<T>(followed);
}

bool goes_on(const Segment& last, const Segment& next) {
  return last.until == next.from && last.cause == next.cause && last.behind == next.behind &&
         last.resident == next.resident;
}

class Fold {
 public:
  Fold(const std::deque<JournalEntry>& journal, const Registry& registry, TicketId ticket,
       const Ticket* there)
      : journal_(journal), registry_(registry), known_(there != nullptr) {
    told_.ticket = ticket;
    const bool came_before = !look_ahead();
    told_.beginning_gone = came_before;
    if (came_before && there != nullptr) begin_with(*there);
    if (came_before && !journal.empty()) last_ = journal.front().at;
    if (!told_.ask) return;
    asks_.emplace(ticket, *told_.ask);
  }

  std::optional<Explanation> told(Instant now) {
    if (!known_) return std::nullopt;
    for (const JournalEntry& entry : journal_) {
      pass_time(entry.at);
      if (const auto* what = std::get_if<EventPayload>(&entry.payload))
        std::visit([&](const auto& one) { note(entry.at, one); }, *what);
      else
        std::visit([&](const auto& one) { note(entry.at, one); }, std::get<Effect>(entry.payload));
    }
    pass_time(now);
    return std::move(told_);
  }

 private:
  // What its story needs from later on: the ask, and since when it was being made ready, which only its grant
  // tells. Whether its arrival is there.
  bool look_ahead() {
    bool arrival_is_there = false;
    for (const JournalEntry& entry : journal_) {
      if (const auto* arrived = happening<TicketArrived>(entry); arrived && arrived->ticket == told_.ticket) {
        arrival_is_there = known_ = true;
        told_.ask = arrived->request;
      }
      if (const auto* refused = effect<Refuse>(entry); refused && refused->ticket == told_.ticket)
        waits_at_first(arrival_is_there);
      const auto* granted = effect<Grant>(entry);
      if (granted == nullptr || granted->ticket != told_.ticket) continue;
      waits_at_first(arrival_is_there);
      if (!told_.arrived) told_.arrived = entry.at + -granted->waited;
      made_ready_.emplace_back(entry.at + -granted->loading, entry.at);
    }
    return arrival_is_there;
  }

  // Refused or granted without having come, it waited already when the journal begins.
  void waits_at_first(bool arrival_is_there) {
    waiting_ = waiting_ || !arrival_is_there;
    known_ = true;
  }

  void begin_with(const Ticket& there) {
    told_.ask = there.request;
    told_.arrived = there.arrived_at;
    if (made_ready_.empty()) waiting_ = there.stage != TicketStage::running;
    if (there.stage != TicketStage::running) return;
    told_.granted = there.granted_at;
    if (made_ready_.empty()) told_.stand = Stand::running, told_.waited = there.granted_at - there.arrived_at;
  }

  // Where it was placed in the end, which its arrival does not say.
  std::span<const DeviceId> devices_of(const TicketRequest& ask) const {
    return ask.consumer ? mgpu::devices_of(registry_[*ask.consumer].spec) : mgpu::devices_of(registry_, ask);
  }
  std::span<const DeviceId> own_devices() const { return devices_of(*told_.ask); }
  bool is_own(DeviceId device) const {
    return told_.ask && std::ranges::find(own_devices(), device) != own_devices().end();
  }
  bool is_near(std::span<const DeviceId> devices) const {
    return std::ranges::any_of(devices, [this](DeviceId device) { return is_own(device); });
  }

  const Consumer* spec_of(TicketId ticket) const {
    const std::optional<ConsumerId> consumer = consumer_of(ticket);
    return consumer ? &registry_[*consumer].spec : nullptr;
  }

  std::optional<ConsumerId> consumer_of(TicketId ticket) const {
    const auto known = asks_.find(ticket);
    return known == asks_.end() ? std::nullopt : known->second.consumer;
  }

  bool is_made_ready() const {
    return planned_for_ || std::ranges::any_of(made_ready_, [&](const auto& span) {
             return span.first <= last_ && last_ < span.second;
           });
  }

  // Of those that run, the first that keeps this ticket from its turn.
  std::optional<TicketId> in_the_way() const {
    for (const DeviceId device : own_devices())
      if (const auto other = in_the_way_on(device)) return other;
    return std::nullopt;
  }

  bool runs_on(TicketId ticket, DeviceId device) const {
    const auto known = asks_.find(ticket);
    if (known == asks_.end()) return true;  // there is but one device
    const auto devices = devices_of(known->second);
    return std::ranges::find(devices, device) != devices.end();
  }

  std::optional<TicketId> in_the_way_on(DeviceId device) const {
    const Consumer* own = spec_of(told_.ticket);
    if (own != nullptr && own->turnless) return std::nullopt;
    const std::optional<ConsumerId> mine = consumer_of(told_.ticket);
    std::set<std::optional<ConsumerId>> holders;
    std::size_t turns = 0;
    std::uint32_t running_of_own = 0;
    std::optional<TicketId> first, first_of_own;
    for (const TicketId id : running_) {
      const Consumer* spec = spec_of(id);
      if (!runs_on(id, device) || (spec != nullptr && spec->turnless)) continue;
      const std::optional<ConsumerId> consumer = consumer_of(id);
      if (!consumer || holders.insert(consumer).second) ++turns;
      if (!first) first = id;
      if (mine && consumer == mine) ++running_of_own, first_of_own = first_of_own ? first_of_own : id;
      if (spec != nullptr && spec->exclusive && consumer != mine) return id;
    }
    if (running_of_own > 0) return running_of_own >= own->concurrency ? first_of_own : std::nullopt;
    const bool full = turns >= registry_.devices[device.value].capacity;
    return full || (own != nullptr && own->exclusive) ? first : std::nullopt;
  }

  Segment cause() const {
    const bool made_ready = is_made_ready();
    if (!made_ready)
      if (const auto other = in_the_way()) return {.cause = Cause::turn, .behind = other};
    for (const auto& [resident, ticket] : leaving_)
      if (ticket == told_.ticket || is_own(resident)) return {.cause = Cause::eviction, .resident = resident};
    for (const auto& [resident, ticket] : loading_)
      if (is_own(resident)) return {.cause = Cause::load, .resident = resident};
    for (const auto& [resident, ticket] : loading_)
      return {.cause = Cause::line, .behind = ticket, .resident = resident};
    for (const auto& [resident, ticket] : leaving_)
      return {.cause = made_ready ? Cause::eviction : Cause::line,
              .behind = made_ready ? std::nullopt : ticket,
              .resident = resident};
    if (reading_asked_) return {.cause = Cause::reading};
    if (failed_) return {.cause = Cause::pause, .resident = told_.ask->resident};
    // Who had the turn since before the journal's beginning is not known.
    const bool unknown = told_.beginning_gone && !made_ready && running_.empty();
    return {.cause = unknown ? Cause::turn : Cause::memory};
  }

  void pass_time(Instant to) {
    if (waiting_ && to > last_) {
      Segment segment = cause();
      segment.from = last_, segment.until = to;
      told_.waited += to - last_;
      add(segment);
    }
    last_ = std::max(last_, to);
  }

  void add(const Segment& segment) {
    std::deque<Segment>& segments = told_.segments;
    if (!segments.empty() && goes_on(segments.back(), segment)) {
      segments.back().until = segment.until;
      return;
    }
    segments.push_back(segment);
    if (segments.size() <= kSegmentsKept) return;
    segments.pop_front();
    ++told_.segments_left_off;
  }

  bool is_own(TicketId ticket) const { return ticket == told_.ticket; }
  bool is_own(ResidentId resident) const { return told_.ask && told_.ask->resident == resident; }
  bool is_here(TicketId ticket) const {
    const auto known = asks_.find(ticket);
    return known == asks_.end() ? registry_.devices.size() == 1 : is_near(devices_of(known->second));
  }

  void leaves(TicketId ticket) { std::erase(running_, ticket); }

  // --- what was told to the core ---
  void note(Instant at, const TicketArrived& arrived) {
    asks_.emplace(arrived.ticket, arrived.request);
    if (!is_own(arrived.ticket)) return;
    told_.arrived = at;
    waiting_ = true;
  }
  void note(Instant, const LeaseReleased& released) {
    leaves(released.ticket);
    if (is_own(released.ticket) && told_.stand == Stand::running) told_.stand = Stand::done;
  }
  void note(Instant at, const LoadEnded& ended) {
    if (loading_.erase(ended.resident) == 0) return;
    if (is_own(ended.resident)) failed_ = !ended.result.has_value();
    for (Move& load : told_.loads) {
      if (load.resident != ended.resident || load.until) continue;
      load.until = at;
      if (!ended.result) load.failed = ended.result.error();
    }
  }
  void note(Instant, const ReadingTaken& taken) {
    if (is_own(taken.reading.device)) reading_asked_ = false;
  }
  // What its process held is gone: nothing of it leaves any more.
  void note(Instant, const ServiceLost& lost) {
    std::erase_if(leaving_, [&](const auto& one) { return registry_[one.first].consumer == lost.consumer; });
  }
  void note(Instant, const auto&) {}

  // --- what it answered ---
  void note(Instant at, const Grant& granted) {
    if (is_here(granted.ticket)) running_.push_back(granted.ticket);
    if (!is_own(granted.ticket)) return;
    waiting_ = planned_for_ = false;
    told_.stand = Stand::running;
    told_.granted = at;
    told_.waited = granted.waited;
  }
  void note(Instant, const Refuse& refused) {
    if (!is_own(refused.ticket)) return;
    waiting_ = planned_for_ = false;
    told_.stand = Stand::refused;
    told_.why = refused.error;
  }
  void note(Instant, const EndLease& ended) {
    leaves(ended.ticket);
    if (!is_own(ended.ticket)) return;
    told_.stand = Stand::done;
    told_.why = ended.error;
  }
  void note(Instant at, const Requeued& requeued) {
    leaves(requeued.ticket);
    if (!is_own(requeued.ticket)) return;
    told_.stand = Stand::waiting;
    told_.requeued.push_back(at);
    waiting_ = true;
  }
  void note(Instant at, const Load& load) {
    if (!is_near(mgpu::devices_of(registry_[registry_[load.resident].consumer].spec))) return;
    loading_[load.resident] = load.ticket;
    leaving_.erase(load.resident);
    if (is_own(load.resident)) failed_ = false;
    if (load.ticket == told_.ticket || (waiting_ && is_own(load.resident)))
      told_.loads.push_back({.resident = load.resident, .from = at, .from_parked = load.from_parked});
  }
  void note(Instant at, const Planned& planned) {
    if (!is_own(planned.device)) return;
    for (const ResidentId victim : planned.victims) leaving_[victim] = planned.ticket;
    if (planned.ticket != told_.ticket) return;
    if (planned.reason == PlanReason::ticket) planned_for_ = true;
    told_.plans.push_back(plan_of(planned, at));
    for (const ResidentId victim : planned.victims)
      told_.evictions.push_back({.resident = victim, .from = at});
  }
  void note(Instant, const Evict& evict) {
    if (Move* eviction = own_eviction(evict.resident)) eviction->rung = evict.rung;
  }
  void note(Instant at, const Evicted& evicted) {
    leaving_.erase(evicted.resident);
    if (Move* eviction = own_eviction(evicted.resident)) {
      eviction->until = at;
      eviction->rung = evicted.rung;
      eviction->freed = evicted.before_bytes - evicted.after_bytes;
    }
  }
  void note(Instant at, const EvictionFailed& failed) {
    leaving_.erase(failed.resident);
    if (Move* eviction = own_eviction(failed.resident)) eviction->until = at, eviction->failed = failed.error;
  }
  void note(Instant, const TakeReading& wanted) {
    if (is_own(wanted.device)) reading_asked_ = true;
  }
  void note(Instant at, const Overtook& overtook) {
    const auto number = static_cast<std::uint32_t>(overtook.overtaken.size());
    if (is_own(overtook.ticket))
      told_.passed_others.push_back(
          {.at = at, .other = overtook.overtaken.front(), .passed = number, .why = overtook.reason});
    else if (waiting_ && std::ranges::find(overtook.overtaken, told_.ticket) != overtook.overtaken.end())
      told_.passed_by.push_back(
          {.at = at, .other = overtook.ticket, .passed = number, .why = overtook.reason});
  }

  Move* own_eviction(ResidentId resident) {
    const auto found = std::ranges::find_if(
        told_.evictions, [&](const Move& move) { return move.resident == resident && !move.until; });
    return found == told_.evictions.end() ? nullptr : &*found;
  }

  const std::deque<JournalEntry>& journal_;
  const Registry& registry_;
  Explanation told_{};
  bool known_ = false;
  std::vector<std::pair<Instant, Instant>> made_ready_{};  // from its promise to its grant
  std::map<TicketId, TicketRequest> asks_{};
  std::vector<TicketId> running_{};  // on its devices, in order of their grants
  std::map<ResidentId, std::optional<TicketId>> loading_{};
  std::map<ResidentId, std::optional<TicketId>> leaving_{};
  bool reading_asked_ = false;
  bool failed_ = false;
  bool waiting_ = false;
  bool planned_for_ = false;
  Instant last_{};
};

}  // namespace

std::string_view to_string(Cause cause) {
  constexpr std::array<std::string_view, 7> kNames{"turn",    "line",  "eviction", "load",
                                                   "reading", "pause", "memory"};
  return kNames[static_cast<std::size_t>(cause)];
}

std::string_view to_string(Stand stand) {
  constexpr std::array<std::string_view, 4> kNames{"waiting", "running", "done", "refused"};
  return kNames[static_cast<std::size_t>(stand)];
}

Plan plan_of(const Planned& planned, Instant at) {
  return {.at = at,
          .reason = planned.reason,
          .needed = planned.needed,
          .headroom = planned.headroom,
          .considered = planned.considered};
}

std::optional<Explanation> explain(const std::deque<JournalEntry>& journal, const Registry& registry,
                                   TicketId ticket, const Ticket* there, Instant now) {
  return Fold(journal, registry, ticket, there).told(now);
}

std::optional<TicketRequest> ask_in(const std::deque<JournalEntry>& journal, TicketId ticket) {
  for (const JournalEntry& entry : journal)
    if (const auto* arrived = happening<TicketArrived>(entry); arrived && arrived->ticket == ticket)
      return arrived->request;
  return std::nullopt;
}

}  // namespace mgpu::explain
