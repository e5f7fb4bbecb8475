// The explanation is built in one pass over the journal. The builder tracks the leases, loads and evictions
// on the ticket's devices. Whenever time passes while the ticket waits, the cause is derived from them; it
// extends the last segment or begins a new one.
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
  const auto* event = std::get_if<EventPayload>(&entry.payload);
  return event == nullptr ? nullptr : std::get_if<T>(event);
}
template <class T>
const T* effect_as(const JournalEntry& entry) {
  const auto* effect = std::get_if<Effect>(&entry.payload);
  return effect == nullptr ? nullptr : std::get_if<T>(effect);
}

bool can_merge(const WaitSegment& last, const WaitSegment& next) {
  return last.until == next.from && last.cause == next.cause && last.behind == next.behind &&
         last.resident == next.resident;
}

class ExplanationBuilder {
 public:
  ExplanationBuilder(const JournalEntries& journal, const Registry& registry, TicketId ticket,
                     const Ticket* live_ticket)
      : journal_(journal), registry_(registry), known_(live_ticket != nullptr) {
    explanation_.ticket = ticket;
    explanation_.truncated = !prescan_journal();
    if (explanation_.truncated && live_ticket != nullptr) start_from_ticket(*live_ticket);
    if (explanation_.truncated && !journal.empty()) last_instant_ = journal.front()->at;
    if (!explanation_.request) return;
    requests_.emplace(ticket, *explanation_.request);
  }

  std::optional<Explanation> build(Instant now) {
    if (!known_) return std::nullopt;
    for (const JournalEntryPtr& entry : journal_) {
      current_entry_ = &entry;
      advance_to(entry->at);
      const auto apply_payload = [&](const auto& payload) { apply(entry->at, payload); };
      std::visit([&](const auto& event_or_effect) { std::visit(apply_payload, event_or_effect); },
                 entry->payload);
    }
    advance_to(now);
    return std::move(explanation_);
  }

 private:
  // Collects what later entries say about the ticket: its request, and since when it was being prepared,
  // which only its grant shows. Returns whether its arrival is in the journal.
  bool prescan_journal() {
    bool has_arrival = false;
    for (const JournalEntryPtr& shared_entry : journal_) {
      const JournalEntry& entry = *shared_entry;
      if (const auto* arrived = event_as<TicketArrived>(entry);
          arrived && arrived->ticket == explanation_.ticket) {
        has_arrival = known_ = true;
        explanation_.request = arrived->request;
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

  // A ticket that is refused or granted without an arrival was already waiting when the journal begins.
  void mark_waiting_at_start(bool has_arrival) {
    waiting_ = waiting_ || !has_arrival;
    known_ = true;
  }

  void start_from_ticket(const Ticket& live_ticket) {
    explanation_.request = live_ticket.request;
    explanation_.arrived = live_ticket.arrived_at;
    if (preparing_spans_.empty()) waiting_ = live_ticket.stage != TicketStage::running;
    if (live_ticket.stage != TicketStage::running) return;
    explanation_.granted = live_ticket.granted_at;
    if (preparing_spans_.empty())
      explanation_.state = TicketState::running,
      explanation_.waited = live_ticket.granted_at - live_ticket.arrived_at;
  }

  // By the current placement of its consumer, which the request does not contain.
  std::span<const DeviceId> devices_of(const TicketRequest& request) const {
    return request.consumer ? mgpu::devices_of(registry_[*request.consumer].spec)
                            : mgpu::devices_of(registry_, request);
  }
  std::span<const DeviceId> own_devices() const { return devices_of(*explanation_.request); }
  bool is_own(DeviceId device) const {
    return explanation_.request && std::ranges::find(own_devices(), device) != own_devices().end();
  }
  bool has_own_device(std::span<const DeviceId> devices) const {
    return std::ranges::any_of(devices, [this](DeviceId device) { return is_own(device); });
  }

  const Consumer* spec_of(TicketId ticket) const {
    const std::optional<ConsumerId> consumer = consumer_of(ticket);
    return consumer ? &registry_[*consumer].spec : nullptr;
  }

  std::optional<ConsumerId> consumer_of(TicketId ticket) const {
    const auto request = requests_.find(ticket);
    return request == requests_.end() ? std::nullopt : request->second.consumer;
  }

  bool is_preparing() const {
    return has_plan_ || std::ranges::any_of(preparing_spans_, [&](const auto& span) {
             return span.first <= last_instant_ && last_instant_ < span.second;
           });
  }

  // The first running ticket that blocks this one's turn.
  std::optional<TicketId> find_blocking_ticket() const {
    for (const DeviceId device : own_devices())
      if (const auto other = find_blocking_ticket_on(device)) return other;
    return std::nullopt;
  }

  bool runs_on(TicketId ticket, DeviceId device) const {
    const auto request = requests_.find(ticket);
    if (request == requests_.end()) return true;  // running_ contains unknown tickets only with one device
    const auto devices = devices_of(request->second);
    return std::ranges::find(devices, device) != devices.end();
  }

  std::optional<TicketId> find_blocking_ticket_on(DeviceId device) const {
    const Consumer* own_spec = spec_of(explanation_.ticket);
    if (own_spec != nullptr && own_spec->turnless) return std::nullopt;
    const std::optional<ConsumerId> own_consumer = consumer_of(explanation_.ticket);
    std::set<std::optional<ConsumerId>> holders;
    std::size_t turns = 0;
    std::uint32_t own_running = 0;
    std::optional<TicketId> first, first_own;
    for (const TicketId id : running_) {
      const Consumer* spec = spec_of(id);
      if (!runs_on(id, device) || (spec != nullptr && spec->turnless)) continue;
      const std::optional<ConsumerId> consumer = consumer_of(id);
      if (!consumer || holders.insert(consumer).second) ++turns;
      if (!first) first = id;
      if (own_consumer && consumer == own_consumer) ++own_running, first_own = first_own ? first_own : id;
      if (spec != nullptr && spec->exclusive && consumer != own_consumer) return id;
    }
    if (own_running > 0) return own_running >= own_spec->concurrency ? first_own : std::nullopt;
    const bool is_full = turns >= registry_.devices[device.value].capacity;
    return is_full || (own_spec != nullptr && own_spec->exclusive) ? first : std::nullopt;
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
    for (const ResidentId resident : self_loading_)
      if (is_own(resident)) return {.cause = WaitCause::load, .resident = resident};
    for (const auto& [resident, ticket] : loading_)
      return {.cause = WaitCause::line, .behind = ticket, .resident = resident};
    for (const auto& [resident, ticket] : evicting_)
      return {.cause = preparing ? WaitCause::eviction : WaitCause::line,
              .behind = preparing ? std::nullopt : ticket,
              .resident = resident};
    if (reading_pending_) return {.cause = WaitCause::reading};
    if (load_failed_) return {.cause = WaitCause::pause, .resident = explanation_.request->resident};
    // A lease that was granted before the journal begins is not in running_.
    const bool may_be_unknown_turn = explanation_.truncated && !preparing && running_.empty();
    return {.cause = may_be_unknown_turn ? WaitCause::turn : WaitCause::memory};
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
    return explanation_.request && explanation_.request->resident == resident;
  }
  bool is_on_own_device(TicketId ticket) const {
    const auto request = requests_.find(ticket);
    return request == requests_.end() ? registry_.devices.size() == 1
                                      : has_own_device(devices_of(request->second));
  }

  void remove_running(TicketId ticket) { std::erase(running_, ticket); }

  // --- events ---
  void apply(Instant at, const TicketArrived& arrived) {
    requests_.emplace(arrived.ticket, arrived.request);
    if (!is_own(arrived.ticket)) return;
    explanation_.arrived = at;
    waiting_ = true;
  }
  void apply(Instant, const LeaseReleased& released) {
    remove_running(released.ticket);
    if (is_own(released.ticket) && explanation_.state == TicketState::running)
      explanation_.state = TicketState::done;
  }
  void apply(Instant at, const LoadEnded& ended) {
    if (loading_.erase(ended.resident) == 0) return;
    if (is_own(ended.resident)) load_failed_ = !ended.result.has_value();
    for (ResidencyChange& load : explanation_.loads) {
      if (load.resident != ended.resident || load.until) continue;
      load.until = at;
      if (!ended.result) load.failed = ended.result.error();
    }
  }
  void apply(Instant, const ReadingTaken& taken) {
    if (is_own(taken.reading.device)) reading_pending_ = false;
  }
  // The process of its residents has ended, so their evictions have ended too.
  void apply(Instant, const ServiceLost& lost) {
    std::erase_if(evicting_,
                  [&](const auto& entry) { return registry_[entry.first].consumer == lost.consumer; });
    std::erase_if(self_loading_, [&](ResidentId id) { return registry_[id].consumer == lost.consumer; });
  }
  void apply(Instant, const ResidentFound& found) {
    self_loading_.erase(found.resident);
    if (found.presence == Presence::loading) self_loading_.insert(found.resident);
    if (found.presence == Presence::warm && is_own(found.resident)) load_failed_ = false;
  }
  void apply(Instant, const auto&) {}

  // --- effects ---
  void apply(Instant at, const Grant& granted) {
    if (is_on_own_device(granted.ticket)) running_.push_back(granted.ticket);
    if (!is_own(granted.ticket)) return;
    waiting_ = has_plan_ = false;
    explanation_.state = TicketState::running;
    explanation_.granted = at;
    explanation_.waited = granted.waited;
  }
  void apply(Instant, const Refuse& refused) {
    if (!is_own(refused.ticket)) return;
    waiting_ = has_plan_ = false;
    explanation_.state = TicketState::refused;
    explanation_.error = refused.error;
  }
  void apply(Instant, const EndLease& ended) {
    remove_running(ended.ticket);
    if (!is_own(ended.ticket)) return;
    explanation_.state = TicketState::done;
    explanation_.error = ended.error;
  }
  void apply(Instant at, const Requeued& requeued) {
    remove_running(requeued.ticket);
    if (!is_own(requeued.ticket)) return;
    explanation_.state = TicketState::waiting;
    explanation_.requeued.push_back(at);
    waiting_ = true;
  }
  void apply(Instant at, const Load& load) {
    if (!has_own_device(mgpu::devices_of(registry_[registry_[load.resident].consumer].spec))) return;
    loading_[load.resident] = load.ticket;
    evicting_.erase(load.resident);
    self_loading_.erase(load.resident);
    if (is_own(load.resident)) load_failed_ = false;
    if (load.ticket == explanation_.ticket || (waiting_ && is_own(load.resident)))
      explanation_.loads.push_back({.resident = load.resident, .from = at, .from_parked = load.from_parked});
  }
  void apply(Instant at, const Planned& planned) {
    if (!is_own(planned.device)) return;
    for (const ResidentId victim : planned.victims) evicting_[victim] = planned.ticket;
    if (planned.ticket != explanation_.ticket) return;
    if (planned.reason == PlanReason::ticket) has_plan_ = true;
    Plan& plan = explanation_.plans.emplace_back(plan_of(planned));
    plan.at = at;
    plan.entry = *current_entry_;
    for (const ResidentId victim : planned.victims)
      explanation_.evictions.push_back({.resident = victim, .from = at});
  }
  void apply(Instant, const Evict& evict) {
    if (ResidencyChange* eviction = find_open_eviction(evict.resident)) eviction->rung = evict.rung;
  }
  void apply(Instant at, const Evicted& evicted) {
    evicting_.erase(evicted.resident);
    if (ResidencyChange* eviction = find_open_eviction(evicted.resident)) {
      eviction->until = at;
      eviction->rung = evicted.rung;
      eviction->freed = evicted.before_bytes - evicted.after_bytes;
    }
  }
  void apply(Instant at, const EvictionFailed& failed) {
    evicting_.erase(failed.resident);
    if (ResidencyChange* eviction = find_open_eviction(failed.resident))
      eviction->until = at, eviction->failed = failed.error;
  }
  void apply(Instant, const TakeReading& wanted) {
    if (is_own(wanted.device)) reading_pending_ = true;
  }
  void apply(Instant at, const Overtook& overtook) {
    const auto count = static_cast<std::uint32_t>(overtook.overtaken.size());
    if (is_own(overtook.ticket))
      explanation_.passed_others.push_back(
          {.at = at, .other = overtook.overtaken.front(), .passed = count, .reason = overtook.reason});
    else if (waiting_ &&
             std::ranges::find(overtook.overtaken, explanation_.ticket) != overtook.overtaken.end())
      explanation_.passed_by.push_back(
          {.at = at, .other = overtook.ticket, .passed = count, .reason = overtook.reason});
  }

  ResidencyChange* find_open_eviction(ResidentId resident) {
    const auto found = std::ranges::find_if(explanation_.evictions, [&](const ResidencyChange& eviction) {
      return eviction.resident == resident && !eviction.until;
    });
    return found == explanation_.evictions.end() ? nullptr : &*found;
  }

  const JournalEntries& journal_;
  const JournalEntryPtr* current_entry_ = nullptr;  // the one that `apply` is called with
  const Registry& registry_;
  Explanation explanation_{};
  bool known_ = false;
  std::vector<std::pair<Instant, Instant>> preparing_spans_{};  // from a promise to its grant
  std::map<TicketId, TicketRequest> requests_{};
  std::vector<TicketId> running_{};  // on its devices, in the order of their grants
  std::map<ResidentId, std::optional<TicketId>> loading_{};
  std::map<ResidentId, std::optional<TicketId>> evicting_{};
  std::set<ResidentId> self_loading_{};  // found loading, without an effect Load
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

Plan plan_of(const Planned& planned) {
  return {.reason = planned.reason,
          .needed = planned.needed,
          .headroom = planned.headroom,
          .considered = planned.considered};
}

std::optional<Explanation> explain(const JournalEntries& journal, const Registry& registry, TicketId ticket,
                                   const Ticket* live_ticket, Instant now) {
  return ExplanationBuilder(journal, registry, ticket, live_ticket).build(now);
}

std::optional<TicketRequest> find_request(const JournalEntries& journal, TicketId ticket) {
  for (const JournalEntryPtr& entry : journal)
    if (const auto* arrived = event_as<TicketArrived>(*entry); arrived && arrived->ticket == ticket)
      return arrived->request;
  return std::nullopt;
}

}  // namespace mgpu::explain
