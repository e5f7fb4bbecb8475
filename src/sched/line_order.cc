#include "sched/line_order.h"

#include <algorithm>
#include <vector>

#include "plan/victim_selection.h"
#include "registry/costs.h"
#include "sched/eviction_ladder.h"
#include "sched/load_expectation.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

constexpr Duration kMinOvertakeBound{10'000'000};
constexpr int kOvertakeRounds = 3;  // rounds of changes of residents that fit the bound

const Resident* resident_of(const World& world, const Ticket& ticket) {
  return ticket.request.resident ? &world.registry[*ticket.request.resident] : nullptr;
}

bool is_warm(const World& world, const Ticket& ticket) {
  const Resident* resident = resident_of(world, ticket);
  return resident == nullptr || resident->state == Residency::warm;
}

// By how much a promise to the ticket would increase the committed memory of the device.
Bytes needed_growth(const World& world, const Ticket& ticket, DeviceId device, bool with_working) {
  const TicketRequest& request = ticket.request;
  const Registry& registry = world.registry;
  if (!request.consumer) {  // measured bare memory beyond the reservations covers some of it
    const Bytes reserved = registry.bare_reserved[device.value];
    const Bytes measured = registry.readings[device.value].bare;
    return std::max(reserved + request.bytes, measured) - std::max(reserved, measured);
  }
  const ConsumerState& consumer = registry[*request.consumer];
  if (consumer.spec.lease_only)
    return commitment_growth(registry, consumer, device, reservation(registry, request));
  const Resident& resident = registry[*request.resident];
  Bytes growth = with_working ? working_per_job(consumer) : Bytes{};
  const bool is_footprint_expected =
      resident.state == Residency::warm || resident.state == Residency::loading || resident.use_count > 0;
  if (!is_footprint_expected) growth += resident.footprint;
  return commitment_growth(registry, consumer, device, growth);
}

// The costs of changes of residents on a device, for one decision. The eviction candidates are computed once,
// and only if a ticket needs them.
class ChangeCosts {
 public:
  ChangeCosts(const World& world, DeviceId device)
      : world_(world),
        device_(device),
        available_(headroom(world.registry, device) + pending_yield(world, device)) {}

  // Expected seconds of loading, unloading and later reloading until the ticket can run; 0 if its resident is
  // warm and its working memory fits. Nullopt if no evictions make enough room. `spare_awaited`: residents
  // that tickets wait for are not evicted.
  std::optional<double> change_seconds(const Ticket& ticket, bool with_working, bool spare_awaited) {
    double seconds = is_warm(world_, ticket) ? 0 : to_seconds(load_time(*resident_of(world_, ticket)));
    for (const DeviceId device : devices_of(world_.registry, ticket.request)) {
      const auto evictions =
          device == device_
              ? eviction_seconds(ticket, with_working, spare_awaited)
              : ChangeCosts(world_, device).eviction_seconds(ticket, with_working, spare_awaited);
      if (!evictions) return std::nullopt;
      seconds += *evictions;
    }
    return seconds;
  }

  bool can_run(const Ticket& ticket) {
    return can_take_turn(world_, ticket) && change_seconds(ticket, true, false).has_value();
  }

 private:
  // The part of change_seconds for the evictions on this device.
  std::optional<double> eviction_seconds(const Ticket& ticket, bool with_working, bool spare_awaited) {
    const Bytes deficit = needed_growth(world_, ticket, device_, with_working) - available_;
    double seconds = 0;
    if (deficit <= Bytes{}) return seconds;
    Bytes freed{};
    for (const EvictionCandidate& candidate : candidates()) {
      if (freed >= deficit) break;
      const Resident& resident = world_.registry[candidate.resident];
      if (ticket.request.resident == candidate.resident) continue;
      if (spare_awaited && resident.waiting > 0) continue;
      freed += candidate.yield_bytes;
      seconds += to_seconds(unload_time(resident)) +
                 to_seconds(candidate.reload_time) * need_probability(world_.registry, resident, world_.now);
    }
    return freed < deficit ? std::nullopt : std::optional(seconds);
  }

  const std::vector<EvictionCandidate>& candidates() {
    if (!candidates_) candidates_ = eviction_candidates(world_.registry, device_, world_.now);
    return *candidates_;
  }

  const World& world_;
  DeviceId device_;
  Bytes available_;
  std::optional<std::vector<EvictionCandidate>> candidates_{};
};

// The benefit of a change of residents for this ticket: the weighted number of tickets that wait for the
// resident, over the seconds that the change and their jobs take. Serving the largest first minimizes the
// mean wait.
double change_benefit(const World& world, const Ticket& ticket, double change_seconds) {
  const Resident* resident = resident_of(world, ticket);
  if (resident == nullptr) return 1 / (change_seconds + to_seconds(kDefaultRunTime));
  const double waiting = std::max<double>(1, resident->waiting);
  const double run_seconds = to_seconds(run_time(*resident, kDefaultRunTime));
  return waiting * world.registry[*ticket.request.consumer].spec.weight /
         (change_seconds + waiting * run_seconds);
}

double weighted_wait(const World& world, const Ticket& ticket) {
  const double weight = ticket.request.consumer ? world.registry[*ticket.request.consumer].spec.weight : 1;
  return to_seconds(world.now - ticket.due) * weight;
}

bool is_past_max_turn(const World& world, const TurnStreak& streak) {
  const Duration limit = world.registry[streak.consumer].spec.max_turn;
  return limit > Duration{0} && world.now >= streak.since + limit;
}

// Whether the ticket's consumer has had its turns for longer than max_turn.
bool is_past_max_turn(const World& world, const LineState& line, const Ticket& ticket) {
  return std::ranges::any_of(line.streaks, [&](const TurnStreak& streak) {
    return ticket.request.consumer == streak.consumer && is_past_max_turn(world, streak);
  });
}

bool has_streak_past_max_turn(const World& world, const LineState& line) {
  return std::ranges::any_of(line.streaks,
                             [&](const TurnStreak& streak) { return is_past_max_turn(world, streak); });
}

// Of the heads of all consumers' queues, the one with the highest score; of equal scores the one due first.
// `score` returns nullopt for tickets that can't be chosen.
template <class Score>
const Ticket* best_head(const World& world, const LineState& line, Score score) {
  const Ticket* best = nullptr;
  double best_score = 0;
  for (const auto& [consumer, queue] : line.queues) {
    const Ticket& head = world.tickets.at(queue.begin()->ticket);
    const std::optional<double> head_score = score(head);
    if (!head_score) continue;
    const bool is_better =
        best == nullptr || *head_score > best_score ||
        (*head_score == best_score && LinePlace{head.due, head.id} < LinePlace{best->due, best->id});
    if (is_better) best = &head, best_score = *head_score;
  }
  return best;
}

const Ticket* next_of_turn_holder(const World& world, const LineState& line, ChangeCosts& costs) {
  const Ticket* next = nullptr;
  for (const TurnStreak& streak : line.streaks) {
    const auto queue = line.queues.find(streak.consumer);
    if (queue == line.queues.end() || is_past_max_turn(world, streak)) continue;
    const Ticket& head = world.tickets.at(queue->second.begin()->ticket);
    if (!is_warm(world, head) || !costs.can_run(head)) continue;
    if (next == nullptr || head.due < next->due) next = &head;
  }
  return next;
}

const Ticket* ready_claim(const World& world, const LineState& line, ChangeCosts& costs) {
  for (const TicketId id : line.claims) {
    const Ticket& ticket = world.tickets.at(id);
    if (is_warm(world, ticket) && costs.can_run(ticket)) return &ticket;
  }
  return nullptr;
}

struct TurnChoice {
  const Ticket* ticket = nullptr;
  OvertakeReason reason{};
};

// The first of the tickets whose overtake_until has passed: no ticket that is due later may overtake it.
std::optional<LinePlace> overtake_barrier(const World& world, const LineState& line) {
  std::optional<LinePlace> barrier;
  for (const auto& [until, place] : line.overtake_deadlines) {
    if (until > world.now) break;
    if (!barrier || place < *barrier) barrier = place;
  }
  return barrier;
}

// Whether serving the ticket would overtake the barrier of any line that it waits in.
bool overtakes_barrier(const World& world, const Ticket& ticket) {
  return std::ranges::any_of(devices_of(world.registry, ticket.request), [&](DeviceId device) {
    const auto barrier = overtake_barrier(world, world.lines[device.value]);
    return barrier && *barrier < LinePlace{ticket.due, ticket.id};
  });
}

bool is_split(const World& world, const Ticket& ticket) {
  return devices_of(world.registry, ticket.request).size() > 1;
}

const Ticket& head_of_queue(const World& world, const LineState& line, const Ticket& ticket) {
  return world.tickets.at(line.queues.at(ticket.request.consumer).begin()->ticket);
}

// Chooses among the tickets that are not barred: the next of a consumer that holds the turn, then the warm
// ticket with the longest weighted wait, then the change of residents with the highest benefit.
template <class IsBarred>
TurnChoice choose_by_preference(const World& world, const LineState& line, ChangeCosts& costs,
                                IsBarred is_barred) {
  if (const Ticket* next = next_of_turn_holder(world, line, costs); next != nullptr && !is_barred(*next))
    return {next, OvertakeReason::same_turn};
  const Ticket* warm = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    if (is_barred(head) || !is_warm(world, head) || !costs.can_run(head)) return std::nullopt;
    return weighted_wait(world, head);
  });
  if (warm != nullptr) return {warm, OvertakeReason::warm};
  const Ticket* cold = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    if (is_barred(head) || is_warm(world, head) || !can_take_turn(world, head)) return std::nullopt;
    const auto seconds = costs.change_seconds(head, true, false);
    return seconds ? std::optional(change_benefit(world, head, *seconds)) : std::nullopt;
  });
  return {cold, OvertakeReason::cheaper_change};
}

TurnChoice choose_by_affinity(const World& world, const LineState& line, ChangeCosts& costs) {
  const std::optional<LinePlace> barrier = overtake_barrier(world, line);
  if (barrier) {
    const Ticket& head = head_of_queue(world, line, world.tickets.at(barrier->ticket));
    if (costs.can_run(head) && !(is_split(world, head) && overtakes_barrier(world, head)))
      return {&head, OvertakeReason::due_at_last};
    if (const Ticket* ready = ready_claim(world, line, costs)) return {ready, OvertakeReason::loaded_ahead};
  }
  const auto is_barred = [&](const Ticket& head) {
    if (barrier && *barrier < LinePlace{head.due, head.id}) return true;
    return is_split(world, head) && overtakes_barrier(world, head);
  };
  const bool is_idle = line.turns.empty() && line.bare_turns.empty();
  const bool enforce_max_turn = line.queues.size() > 1 && has_streak_past_max_turn(world, line);
  TurnChoice choice = choose_by_preference(world, line, costs, [&](const Ticket& head) {
    if (is_barred(head)) return true;
    return enforce_max_turn && line.waiting.begin()->ticket != head.id && is_past_max_turn(world, line, head);
  });
  // If max_turn alone leaves the device idle, it is ignored: the first ticket may wait for another device.
  if (choice.ticket == nullptr && enforce_max_turn && is_idle)
    choice = choose_by_preference(world, line, costs, is_barred);
  // The first ticket may need the memory of a resident that is claimed: the claiming ticket must run first.
  if (choice.ticket == nullptr) choice = {ready_claim(world, line, costs), OvertakeReason::loaded_ahead};
  return choice;
}

// An exclusive consumer shares its turn with no other turn. Turnless tickets don't count: if they come
// continuously, an exclusive ticket that waited for all of them to end would wait forever.
bool is_blocked_by_exclusive(const World& world, const LineState& line, const Ticket& ticket) {
  const bool is_exclusive =
      ticket.request.consumer && world.registry[*ticket.request.consumer].spec.exclusive;
  if (is_exclusive && !line.bare_turns.empty()) return true;
  return std::ranges::any_of(line.turns, [&](ConsumerId holder) {
    return ticket.request.consumer != holder && (is_exclusive || world.registry[holder].spec.exclusive);
  });
}

bool can_take_turn_on(const World& world, DeviceId device, const Ticket& ticket) {
  const LineState& line = world.lines[device.value];
  if (is_device_paused(world, device)) return false;
  if (ticket.request.consumer && world.registry[*ticket.request.consumer].spec.turnless) return true;
  if (is_blocked_by_exclusive(world, line, ticket)) return false;
  if (ticket.request.consumer && std::ranges::find(line.turns, *ticket.request.consumer) != line.turns.end())
    return true;
  return line.turns.size() + line.bare_turns.size() < world.registry.devices[device.value].capacity;
}

// Under fifo a ticket is served only if it is the first on all its devices.
bool is_first_in_lines(const World& world, const Ticket& ticket) {
  return std::ranges::all_of(devices_of(world.registry, ticket.request), [&](DeviceId device) {
    return world.lines[device.value].waiting.begin()->ticket == ticket.id;
  });
}

// How much later than its arrival the ticket is due because of its class.
Duration class_delay(const World& world, const Ticket& ticket) {
  return saturating_product(world.limits.ageing, static_cast<int>(priority_of(world, ticket.request)));
}

UserShareKey user_share_key(const World& world, const Ticket& ticket) {
  return {.user = ticket.request.user, .priority = priority_of(world, ticket.request)};
}

}  // namespace

Priority priority_of(const World& world, const TicketRequest& request) {
  if (request.priority) return *request.priority;
  return request.consumer ? world.registry[*request.consumer].spec.priority : Priority::normal;
}

Instant due_time(const World& world, const Ticket& ticket) {
  if (world.limits.policy == Policy::fifo) return ticket.arrived_at;
  const Instant due = ticket.arrived_at + class_delay(world, ticket);
  if (ticket.request.user == 0) return due;
  return world.lines[ticket.request.device.value].shares.fair_due(user_share_key(world, ticket), due);
}

void charge_user_share(World& world, const Ticket& ticket) {
  if (world.limits.policy == Policy::fifo || ticket.request.user == 0) return;
  const Resident* resident = resident_of(world, ticket);
  const Duration share = resident == nullptr ? kDefaultRunTime : run_time(*resident, kDefaultRunTime);
  const Instant until = ticket.due + share;
  // A ticket that arrives later than this is due after `until` anyway.
  const Instant expires_at = until + -class_delay(world, ticket);
  world.lines[ticket.request.device.value].shares.charge(user_share_key(world, ticket), until, expires_at,
                                                         world.now);
}

Duration overtake_bound(const World& world, const Ticket& ticket) {
  if (world.limits.overtake_limit > Duration{0}) return world.limits.overtake_limit;
  // Each waiting consumer may get its change of residents before this ticket's, so the bound depends on what
  // one change for each of them costs.
  Duration round{0};
  for (const DeviceId device : devices_of(world.registry, ticket.request))
    for (const auto& [consumer, queue] : world.lines[device.value].queues) {
      const Resident* resident = resident_of(world, world.tickets.at(queue.begin()->ticket));
      if (resident != nullptr) round += load_time(*resident, LoadSource::cached) + unload_time(*resident);
    }
  return std::max(kMinOvertakeBound, saturating_product(round, kOvertakeRounds));
}

bool can_take_turn(const World& world, const Ticket& ticket) {
  if (ticket.request.consumer) {
    const ConsumerState& consumer = world.registry[*ticket.request.consumer];
    if (consumer.running_leases + consumer.promised_tickets >= consumer.spec.concurrency) return false;
  }
  return std::ranges::all_of(devices_of(world.registry, ticket.request),
                             [&](DeviceId device) { return can_take_turn_on(world, device, ticket); });
}

bool is_device_paused(const World& world, DeviceId device) {
  return world.lines[device.value].unverified_since || world.registry.readings[device.value].yielded;
}

std::optional<NextTurn> next_for_turn(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (line.waiting.empty()) return std::nullopt;
  const TicketId first = line.waiting.begin()->ticket;
  if (world.limits.policy == Policy::fifo) {
    const Ticket& head = world.tickets.at(first);
    return is_first_in_lines(world, head) && can_take_turn(world, head) ? std::optional(NextTurn{first})
                                                                        : std::nullopt;
  }
  ChangeCosts costs(world, device);
  const TurnChoice choice = choose_by_affinity(world, line, costs);
  if (choice.ticket == nullptr) return std::nullopt;
  if (choice.ticket->id == first) return NextTurn{first};
  return NextTurn{choice.ticket->id, choice.reason};
}

std::optional<TicketId> next_to_load_ahead(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (world.limits.policy == Policy::fifo || !world.limits.load_ahead) return std::nullopt;
  if (line.loading || !line.claims.empty() || line.waiting.empty()) return std::nullopt;
  ChangeCosts costs(world, device);
  const auto score = [&](const Ticket& head) -> std::optional<double> {
    const Resident* resident = resident_of(world, head);
    if (resident == nullptr || holds_memory(*resident) || head.has_claim) return std::nullopt;
    if (is_load_expectation_unsure(*resident)) return std::nullopt;  // it could take what the others need
    if (resident->state == Residency::failed && world.now < resident->retry_at) return std::nullopt;
    if (is_split(world, head)) return std::nullopt;  // would hold one device while waiting for the other
    const auto seconds = costs.change_seconds(head, false, true);
    return seconds ? std::optional(change_benefit(world, head, *seconds)) : std::nullopt;
  };
  if (const auto barrier = overtake_barrier(world, line)) {
    const Ticket& head = head_of_queue(world, line, world.tickets.at(barrier->ticket));
    return score(head) ? std::optional(head.id) : std::nullopt;
  }
  const Ticket* best = best_head(world, line, score);
  return best == nullptr ? std::nullopt : std::optional(best->id);
}

std::optional<ResidentId> next_to_read_ahead(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (world.limits.policy == Policy::fifo || line.waiting.empty()) return std::nullopt;
  const Ticket* best = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    const Resident* resident = resident_of(world, head);
    if (resident == nullptr || resident->was_read_ahead) return std::nullopt;
    if (resident->state != Residency::cold && resident->state != Residency::failed) return std::nullopt;
    return change_benefit(world, head, to_seconds(load_time(*resident)));
  });
  return best == nullptr ? std::nullopt : best->request.resident;
}

}  // namespace mgpu
