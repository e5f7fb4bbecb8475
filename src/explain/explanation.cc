// One walk over the journal. What is under way on the ticket's devices is kept beside; whenever time passes
// while the ticket waits, the cause of that is concluded and added to the last segment, or begins a new one.
#include "explain/explanation.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

namespace mgpu::explain {
namespace {

template <class T>
const T* event_as(const JournalEntry& entry) {
  const auto* happened = std::get_if<EventPayload>(&entry.payload);
  return happened == nullptr ? nullptr : std::get_if<T>(happened);
}
template <class T>
const T* effect_as(const JournalEntry& entry) {
  const auto* followed = std::get_if<Effect>(&entry.payload);
  return followed == nullptr ? nullptr : std::get_if<T>(followed);
}

bool can_merge(const WaitSegment& last, const WaitSegment& next) {
  return last.until == next.from && last.cause == next.cause && last.behind == next.behind &&
         last.resident == next.resident;
}

class ExplanationBuilder {
 public:
  ExplanationBuilder(const std::deque<JournalEntry>& journal, const Registry& registry, TicketId ticket,
                     const Ticket* live_ticket)
      : journal_(journal), registry_(registry), known_(live_ticket != nullptr) {
    explanation_.ticket = ticket;
    const bool came_before = !prescan_journal();
    explanation_.truncated = came_before;
    if (came_before && live_ticket != nullptr) start_from_ticket(*live_ticket);
    if (came_before && !journal.empty()) last_instant_ = journal.front().at;
    if (!explanation_.ask) return;
    asks_.emplace(ticket, *explanation_.ask);
  }

  std::optional<Explanation> build(Instant now) {
    if (!known_) return std::nullopt;
    for (const JournalEntry& entry : journal_) {
      advance_to(entry.at);
      if (const auto* what = std::get_if<EventPayload>(&entry.payload))
        std::visit([&](const auto& one) { note(entry.at, one); }, *what);
      else
        std::visit([&](const auto& one) { note(entry.at, one); }, std::get<Effect>(entry.payload));
    }
    advance_to(now);
    return std::move(explanation_);
  }

 private:
  // What its story needs from later on: the ask, and since when it was being made ready, which only its grant
  // tells. Whether its arrival is there.
  bool prescan_journal() {
    bool has_arrival = false;
    for (const JournalEntry& entry : journal_) {
      if (const auto* arrived = event_as<TicketArrived>(entry);
          arrived && arrived->ticket == explanation_.ticket) {
        has_arrival = known_ = true;
        explanation_.ask = arrived->request;
      }
      if (const auto* refused = effect_as<Refuse>(entry); refused && refused->ticket == explanation_.ticket)
        mark_waiting_at_start(has_arrival);
      const auto* granted = effect_as<Grant>(entry);
      if (granted == nullptr || granted->ticket != explanation_.ticket) continue;
      mark_waiting_at_start(has_arrival);
      if (!explanation_.arrived) explanation_.arrived = entry.at + -granted->waited;
      preparing_spans_.emplace_back(entry.at + -granted->loading, entry.at);
    }
    return has_arrival;
  }

  // Refused or granted without having come, it waited already when the journal begins.
  void mark_waiting_at_start(bool has_arrival) {
    waiting_ = waiting_ || !has_arrival;
    known_ = true;
  }

  void start_from_ticket(const Ticket& live_ticket) {
    explanation_.ask = live_ticket.request;
    explanation_.arrived = live_ticket.arrived_at;
    if (preparing_spans_.empty()) waiting_ = live_ticket.stage != TicketStage::running;
    if (live_ticket.stage != TicketStage::running) return;
    explanation_.granted = live_ticket.granted_at;
    if (preparing_spans_.empty())
      explanation_.state = TicketState::running,
      explanation_.waited = live_ticket.granted_at - live_ticket.arrived_at;
  }

  // Where it was placed in the end, which its arrival does not say.
  std::span<const DeviceId> devices_of(const TicketRequest& ask) const {
    return ask.consumer ? mgpu::devices_of(registry_[*ask.consumer].spec) : mgpu::devices_of(registry_, ask);
  }
  std::span<const DeviceId> own_devices() const { return devices_of(*explanation_.ask); }
  bool is_own(DeviceId device) const {
    return explanation_.ask && std::ranges::find(own_devices(), device) != own_devices().end();
  }
  bool has_own_device(std::span<const DeviceId> devices) const {
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

  bool is_preparing() const {
    return has_plan_ || std::ranges::any_of(preparing_spans_, [&](const auto& span) {
             return span.first <= last_instant_ && last_instant_ < span.second;
           });
  }

  // Of those that run, the first that keeps this ticket from its turn.
  std::optional<TicketId> find_blocking_ticket() const {
    for (const DeviceId device : own_devices())
      if (const auto other = find_blocking_ticket_on(device)) return other;
    return std::nullopt;
  }

  bool runs_on(TicketId ticket, DeviceId device) const {
    const auto known = asks_.find(ticket);
    if (known == asks_.end()) return true;  // there is but one device
    const auto devices = devices_of(known->second);
    return std::ranges::find(devices, device) != devices.end();
  }

  std::optional<TicketId> find_blocking_ticket_on(DeviceId device) const {
    const Consumer* own = spec_of(explanation_.ticket);
    if (own != nullptr && own->turnless) return std::nullopt;
    const std::optional<ConsumerId> own_consumer = consumer_of(explanation_.ticket);
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
      if (own_consumer && consumer == own_consumer)
        ++running_of_own, first_of_own = first_of_own ? first_of_own : id;
      if (spec != nullptr && spec->exclusive && consumer != own_consumer) return id;
    }
    if (running_of_own > 0) return running_of_own >= own->concurrency ? first_of_own : std::nullopt;
    const bool full = turns >= registry_.devices[device.value].capacity;
    return full || (own != nullptr && own->exclusive) ? first : std::nullopt;
  }

  WaitSegment current_cause() const {
    const bool preparing = is_preparing();
    if (!preparing)
      if (const auto other = find_blocking_ticket()) return {.cause = WaitCause::turn, .behind = other};
    for (const auto& [resident, ticket] : evicting_)
      if (ticket == explanation_.ticket || is_own(resident))
        return {.cause = WaitCause::eviction, .resident = resident};
    for (const auto& [resident, ticket] : loading_)
      if (is_own(resident)) return {.cause = WaitCause::load, .resident = resident};
    for (const auto& [resident, ticket] : loading_)
      return {.cause = WaitCause::line, .behind = ticket, .resident = resident};
    for (const auto& [resident, ticket] : evicting_)
      return {.cause = preparing ? WaitCause::eviction : WaitCause::line,
              .behind = preparing ? std::nullopt : ticket,
              .resident = resident};
    if (reading_pending_) return {.cause = WaitCause::reading};
    if (load_failed_) return {.cause = WaitCause::pause, .resident = explanation_.ask->resident};
    // Who had the turn since before the journal's beginning is not known.
    const bool unknown = explanation_.truncated && !preparing && running_.empty();
    return {.cause = unknown ? WaitCause::turn : WaitCause::memory};
  }

  void advance_to(Instant to) {
    if (waiting_ && to > last_instant_) {
      WaitSegment segment = current_cause();
      segment.from = last_instant_, segment.until = to;
      explanation_.waited += to - last_instant_;
      add_segment(segment);
    }
    last_instant_ = std::max(last_instant_, to);
  }

  void add_segment(const WaitSegment& segment) {
    std::deque<WaitSegment>& segments = explanation_.segments;
    if (!segments.empty() && can_merge(segments.back(), segment)) {
      segments.back().until = segment.until;
      return;
    }
    segments.push_back(segment);
    if (segments.size() <= kMaxSegments) return;
    segments.pop_front();
    ++explanation_.segments_dropped;
  }

  bool is_own(TicketId ticket) const { return ticket == explanation_.ticket; }
  bool is_own(ResidentId resident) const {
    return explanation_.ask && explanation_.ask->resident == resident;
  }
  bool is_on_own_device(TicketId ticket) const {
    const auto known = asks_.find(ticket);
    return known == asks_.end() ? registry_.devices.size() == 1 : has_own_device(devices_of(known->second));
  }

  void remove_running(TicketId ticket) { std::erase(running_, ticket); }

  // --- what was told to the core ---
  void note(Instant at, const TicketArrived& arrived) {
    asks_.emplace(arrived.ticket, arrived.request);
    if (!is_own(arrived.ticket)) return;
    explanation_.arrived = at;
    waiting_ = true;
  }
  void note(Instant, const LeaseReleased& released) {
    remove_running(released.ticket);
    if (is_own(released.ticket) && explanation_.state == TicketState::running)
      explanation_.state = TicketState::done;
  }
  void note(Instant at, const LoadEnded& ended) {
    if (loading_.erase(ended.resident) == 0) return;
    if (is_own(ended.resident)) load_failed_ = !ended.result.has_value();
    for (ResidencyChange& load : explanation_.loads) {
      if (load.resident != ended.resident || load.until) continue;
      load.until = at;
      if (!ended.result) load.failed = ended.result.error();
    }
  }
  void note(Instant, const ReadingTaken& taken) {
    if (is_own(taken.reading.device)) reading_pending_ = false;
  }
  // What its process held is gone: nothing of it leaves any more.
  void note(Instant, const ServiceLost& lost) {
    std::erase_if(evicting_, [&](const auto& one) { return registry_[one.first].consumer == lost.consumer; });
  }
  void note(Instant, const auto&) {}

  // --- what it answered ---
  void note(Instant at, const Grant& granted) {
    if (is_on_own_device(granted.ticket)) running_.push_back(granted.ticket);
    if (!is_own(granted.ticket)) return;
    waiting_ = has_plan_ = false;
    explanation_.state = TicketState::running;
    explanation_.granted = at;
    explanation_.waited = granted.waited;
  }
  void note(Instant, const Refuse& refused) {
    if (!is_own(refused.ticket)) return;
    waiting_ = has_plan_ = false;
    explanation_.state = TicketState::refused;
    explanation_.why = refused.error;
  }
  void note(Instant, const EndLease& ended) {
    remove_running(ended.ticket);
    if (!is_own(ended.ticket)) return;
    explanation_.state = TicketState::done;
    explanation_.why = ended.error;
  }
  void note(Instant at, const Requeued& requeued) {
    remove_running(requeued.ticket);
    if (!is_own(requeued.ticket)) return;
    explanation_.state = TicketState::waiting;
    explanation_.requeued.push_back(at);
    waiting_ = true;
  }
  void note(Instant at, const Load& load) {
    if (!has_own_device(mgpu::devices_of(registry_[registry_[load.resident].consumer].spec))) return;
    loading_[load.resident] = load.ticket;
    evicting_.erase(load.resident);
    if (is_own(load.resident)) load_failed_ = false;
    if (load.ticket == explanation_.ticket || (waiting_ && is_own(load.resident)))
      explanation_.loads.push_back({.resident = load.resident, .from = at, .from_parked = load.from_parked});
  }
  void note(Instant at, const Planned& planned) {
    if (!is_own(planned.device)) return;
    for (const ResidentId victim : planned.victims) evicting_[victim] = planned.ticket;
    if (planned.ticket != explanation_.ticket) return;
    if (planned.reason == PlanReason::ticket) has_plan_ = true;
    explanation_.plans.push_back(plan_of(planned, at));
    for (const ResidentId victim : planned.victims)
      explanation_.evictions.push_back({.resident = victim, .from = at});
  }
  void note(Instant, const Evict& evict) {
    if (ResidencyChange* eviction = find_open_eviction(evict.resident)) eviction->rung = evict.rung;
  }
  void note(Instant at, const Evicted& evicted) {
    evicting_.erase(evicted.resident);
    if (ResidencyChange* eviction = find_open_eviction(evicted.resident)) {
      eviction->until = at;
      eviction->rung = evicted.rung;
      eviction->freed = evicted.before_bytes - evicted.after_bytes;
    }
  }
  void note(Instant at, const EvictionFailed& failed) {
    evicting_.erase(failed.resident);
    if (ResidencyChange* eviction = find_open_eviction(failed.resident))
      eviction->until = at, eviction->failed = failed.error;
  }
  void note(Instant, const TakeReading& wanted) {
    if (is_own(wanted.device)) reading_pending_ = true;
  }
  void note(Instant at, const Overtook& overtook) {
    const auto number = static_cast<std::uint32_t>(overtook.overtaken.size());
    if (is_own(overtook.ticket))
      explanation_.passed_others.push_back(
          {.at = at, .other = overtook.overtaken.front(), .passed = number, .why = overtook.reason});
    else if (waiting_ &&
             std::ranges::find(overtook.overtaken, explanation_.ticket) != overtook.overtaken.end())
      explanation_.passed_by.push_back(
          {.at = at, .other = overtook.ticket, .passed = number, .why = overtook.reason});
  }

  ResidencyChange* find_open_eviction(ResidentId resident) {
    const auto found = std::ranges::find_if(explanation_.evictions, [&](const ResidencyChange& move) {
      return move.resident == resident && !move.until;
    });
    return found == explanation_.evictions.end() ? nullptr : &*found;
  }

  const std::deque<JournalEntry>& journal_;
  const Registry& registry_;
  Explanation explanation_{};
  bool known_ = false;
  std::vector<std::pair<Instant, Instant>> preparing_spans_{};  // from its promise to its grant
  std::map<TicketId, TicketRequest> asks_{};
  std::vector<TicketId> running_{};  // on its devices, in order of their grants
  std::map<ResidentId, std::optional<TicketId>> loading_{};
  std::map<ResidentId, std::optional<TicketId>> evicting_{};
  bool reading_pending_ = false;
  bool load_failed_ = false;
  bool waiting_ = false;
  bool has_plan_ = false;
  Instant last_instant_{};
};

}  // namespace

std::string_view to_string(WaitCause cause) {
  constexpr std::array<std::string_view, 7> kNames{"turn",    "line",  "eviction", "load",
                                                   "reading", "pause", "memory"};
  return kNames[static_cast<std::size_t>(cause)];
}

std::string_view to_string(TicketState state) {
  constexpr std::array<std::string_view, 4> kNames{"waiting", "running", "done", "refused"};
  return kNames[static_cast<std::size_t>(state)];
}

Plan plan_of(const Planned& planned, Instant at) {
  return {.at = at,
          .reason = planned.reason,
          .needed = planned.needed,
          .headroom = planned.headroom,
          .considered = planned.considered};
}

std::optional<Explanation> explain(const std::deque<JournalEntry>& journal, const Registry& registry,
                                   TicketId ticket, const Ticket* live_ticket, Instant now) {
  return ExplanationBuilder(journal, registry, ticket, live_ticket).build(now);
}

std::optional<TicketRequest> find_ask(const std::deque<JournalEntry>& journal, TicketId ticket) {
  for (const JournalEntry& entry : journal)
    if (const auto* arrived = event_as<TicketArrived>(entry); arrived && arrived->ticket == ticket)
      return arrived->request;
  return std::nullopt;
}

}  // namespace mgpu::explain
