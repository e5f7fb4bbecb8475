#include "sched/order.h"

#include <algorithm>
#include <vector>

#include "plan/victims.h"
#include "registry/costs.h"
#include "sched/ladder.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

constexpr Duration kLeastBound{10'000'000};
constexpr int kChangesBorne = 3;  // changes of residents that the first of a line waits for at least

const Resident* resident_of(const World& world, const Ticket& ticket) {
  return ticket.ask.resident ? &world.registry[*ticket.ask.resident] : nullptr;
}

bool is_warm(const World& world, const Ticket& ticket) {
  const Resident* resident = resident_of(world, ticket);
  return resident == nullptr || resident->state == Residency::warm;
}

// What the ticket's promise would add to what is committed.
Bytes need(const World& world, const Ticket& ticket, bool with_work) {
  const Ask& ask = ticket.ask;
  const Registry& registry = world.registry;
  if (!ask.consumer) {  // what its process holds already may cover some of it
    const Bytes promised = registry.bare[ask.device.value], seen = registry.readings[ask.device.value].bare;
    return std::max(promised + ask.bytes, seen) - std::max(promised, seen);
  }
  const ConsumerState& consumer = registry[*ask.consumer];
  if (consumer.spec.lease_only) return growth(registry, consumer, reservation(registry, ask));
  const Resident& resident = registry[*ask.resident];
  Bytes more = with_work ? working_each(consumer) : Bytes{};
  const bool counted =
      resident.state == Residency::warm || resident.state == Residency::loading || resident.users > 0;
  if (!counted) more += resident.footprint;
  return growth(registry, consumer, more);
}

// A decision's view of a device: what could leave is looked up once, and only if somebody's room needs it.
class Outlook {
 public:
  Outlook(const World& world, DeviceId device)
      : world_(world),
        line_(world.lines[device.value]),
        device_(device),
        space_(headroom(world.registry, device) + incoming(world, device)) {}

  // Seconds until the ticket could run: nothing if its resident is warm and its working memory fits. Nullopt:
  // there is no room for it, whoever leaves.
  std::optional<double> seconds_of_change(const Ticket& ticket, bool with_work, bool spare_the_wanted) {
    const Resident* own = resident_of(world_, ticket);
    const double loading = is_warm(world_, ticket) ? 0 : seconds(load_time(*own));
    const Bytes deficit = need(world_, ticket, with_work) - space_;
    if (deficit <= Bytes{}) return loading;
    double change = loading;
    Bytes gained{};
    for (const Candidate& candidate : candidates()) {
      if (gained >= deficit) break;
      const Resident& resident = world_.registry[candidate.resident];
      if (ticket.ask.resident == candidate.resident) continue;
      if (spare_the_wanted && resident.waiting > 0) continue;
      gained += candidate.yield;
      change += seconds(unload_time(resident)) +
                seconds(candidate.reload) * chance_of_need(world_.registry, resident, world_.now);
    }
    return gained < deficit ? std::nullopt : std::optional(change);
  }

  bool may_run(const Ticket& ticket) {
    return turn_for(world_, line_, ticket) && seconds_of_change(ticket, true, false).has_value();
  }

  static double seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

 private:
  const std::vector<Candidate>& candidates() {
    if (!candidates_) candidates_ = candidates_on(world_.registry, device_, world_.now);
    return *candidates_;
  }

  const World& world_;
  const LineState& line_;
  DeviceId device_;
  Bytes space_;
  std::optional<std::vector<Candidate>> candidates_{};
};

// What a change of residents for this ticket serves, a second of it: the waiting work of its consumer,
// weighted, over the time that the change and that work take. The largest first gives the shortest mean wait.
double merit(const World& world, const Ticket& ticket, double change) {
  const Resident* resident = resident_of(world, ticket);
  if (resident == nullptr) return 1 / (change + Outlook::seconds(kUnknownRun));
  const double waiting = std::max<double>(1, resident->waiting);
  const double run = Outlook::seconds(run_time(*resident, kUnknownRun));
  return waiting * world.registry[*ticket.ask.consumer].spec.weight / (change + waiting * run);
}

double weighted_wait(const World& world, const Ticket& ticket) {
  const double weight = ticket.ask.consumer ? world.registry[*ticket.ask.consumer].spec.weight : 1;
  return Outlook::seconds(world.now - ticket.due) * weight;
}

bool past_its_turn(const World& world, const Streak& streak) {
  const Duration limit = world.registry[streak.consumer].spec.max_turn;
  return limit > Duration{0} && world.now >= streak.since + limit;
}

// Whether its consumer had the turn for so long that it queues like everybody.
bool must_queue(const World& world, const LineState& line, const Ticket& ticket) {
  return std::ranges::any_of(line.streaks, [&](const Streak& streak) {
    return ticket.ask.consumer == streak.consumer && past_its_turn(world, streak);
  });
}

// The most deserving ticket by `worth`, among the heads of all consumers' queues for which it says anything;
// of equals the one due first.
template <class Worth>
const Ticket* best_head(const World& world, const LineState& line, Worth worth) {
  const Ticket* best = nullptr;
  double most = 0;
  for (const auto& [consumer, queue] : line.queues) {
    const Ticket& head = world.tickets.at(queue.begin()->ticket);
    const std::optional<double> value = worth(head);
    if (!value) continue;
    const bool better = best == nullptr || *value > most ||
                        (*value == most && Place{head.due, head.id} < Place{best->due, best->id});
    if (better) best = &head, most = *value;
  }
  return best;
}

const Ticket* next_of_the_turn(const World& world, const LineState& line, Outlook& outlook) {
  const Ticket* next = nullptr;
  for (const Streak& streak : line.streaks) {
    const auto queue = line.queues.find(streak.consumer);
    if (queue == line.queues.end() || past_its_turn(world, streak)) continue;
    const Ticket& head = world.tickets.at(queue->second.begin()->ticket);
    if (!is_warm(world, head) || !outlook.may_run(head)) continue;
    if (next == nullptr || head.due < next->due) next = &head;
  }
  return next;
}

const Ticket* claimed_and_ready(const World& world, const LineState& line, Outlook& outlook) {
  for (const TicketId id : line.claims) {
    const Ticket& ticket = world.tickets.at(id);
    if (is_warm(world, ticket) && outlook.may_run(ticket)) return &ticket;
  }
  return nullptr;
}

struct Found {
  const Ticket* ticket = nullptr;
  Overtaking why{};
};

// The first of those that have borne their bound: nothing that is due later may pass it.
std::optional<Place> barrier_of(const World& world, const LineState& line) {
  std::optional<Place> barrier;
  for (const auto& [until, place] : line.bounds) {
    if (until > world.now) break;
    if (!barrier || place < *barrier) barrier = place;
  }
  return barrier;
}

const Ticket& head_of_queue(const World& world, const LineState& line, const Ticket& ticket) {
  return world.tickets.at(line.queues.at(ticket.ask.consumer).begin()->ticket);
}

Found by_affinity(const World& world, const LineState& line, Outlook& outlook) {
  const std::optional<Place> barrier = barrier_of(world, line);
  if (barrier) {
    const Ticket& head = head_of_queue(world, line, world.tickets.at(barrier->ticket));
    if (outlook.may_run(head)) return {&head, Overtaking::due_at_last};
    if (const Ticket* ready = claimed_and_ready(world, line, outlook))
      return {ready, Overtaking::loaded_ahead};
  }
  const auto barred = [&](const Ticket& head) {
    if (barrier && *barrier < Place{head.due, head.id}) return true;
    return line.queues.size() > 1 && line.waiting.begin()->ticket != head.id && must_queue(world, line, head);
  };
  if (const Ticket* next = next_of_the_turn(world, line, outlook); next != nullptr && !barred(*next))
    return {next, Overtaking::same_turn};
  const Ticket* warm = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    if (barred(head) || !is_warm(world, head) || !outlook.may_run(head)) return std::nullopt;
    return weighted_wait(world, head);
  });
  if (warm != nullptr) return {warm, Overtaking::warm};
  const Ticket* cold = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    if (barred(head) || is_warm(world, head) || !turn_for(world, line, head)) return std::nullopt;
    const auto change = outlook.seconds_of_change(head, true, false);
    return change ? std::optional(merit(world, head, *change)) : std::nullopt;
  });
  return {cold, Overtaking::cheaper_change};
}

bool exclusive_stands_between(const World& world, const LineState& line, const Ticket& ticket) {
  const bool alone = ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.exclusive;
  const auto other = [&](TicketId id) {
    const Ticket& holder = world.tickets.at(id);
    if (holder.ask.consumer && holder.ask.consumer == ticket.ask.consumer) return false;
    return alone || (holder.ask.consumer && world.registry[*holder.ask.consumer].spec.exclusive);
  };
  if (std::ranges::any_of(line.preparing, other)) return true;
  if (alone) {
    const ConsumerState& own = world.registry[*ticket.ask.consumer];
    return line.statistics.in_flight > own.running;
  }
  return std::ranges::any_of(line.turns, [&](ConsumerId holder) {
    return world.registry[holder].spec.exclusive && ticket.ask.consumer != holder;
  });
}

}  // namespace

Priority priority_of(const World& world, const Ask& ask) {
  if (ask.priority) return *ask.priority;
  return ask.consumer ? world.registry[*ask.consumer].spec.priority : Priority::normal;
}

Instant due_of(World& world, const Ticket& ticket) {
  if (world.limits.policy == Policy::fifo) return ticket.arrived;
  const Priority priority = priority_of(world, ticket.ask);
  const Instant due = ticket.arrived + world.limits.ageing * static_cast<int>(priority);
  if (ticket.ask.user == 0) return due;
  auto& users = world.lines[ticket.ask.device.value].users;
  std::erase_if(users, [&](const auto& user) { return user.second <= ticket.arrived; });
  Instant& latest = users[{ticket.ask.user, priority}];
  const Resident* resident = resident_of(world, ticket);
  const Duration share = resident == nullptr ? kUnknownRun : run_time(*resident, kUnknownRun);
  latest = std::max(due, latest + share);
  return latest;
}

Duration overtake_bound(const World& world, const Ticket& ticket) {
  if (world.limits.overtake_limit > Duration{0}) return world.limits.overtake_limit;
  // Each consumer that waits may want its change before the first one's: the bound follows what a round
  // costs.
  const LineState& line = world.lines[ticket.ask.device.value];
  Duration round{0};
  for (const auto& [consumer, queue] : line.queues) {
    const Resident* resident = resident_of(world, world.tickets.at(queue.begin()->ticket));
    if (resident != nullptr) round += load_time(*resident, Source::cached) + unload_time(*resident);
  }
  return std::max(kLeastBound, round * kChangesBorne);
}

bool turn_for(const World& world, const LineState& line, const Ticket& ticket) {
  if (ticket.ask.consumer) {
    const ConsumerState& consumer = world.registry[*ticket.ask.consumer];
    if (consumer.running + consumer.promised >= consumer.spec.concurrency) return false;
  }
  if (exclusive_stands_between(world, line, ticket)) return false;
  if (ticket.ask.consumer) {
    if (world.registry[*ticket.ask.consumer].spec.turnless) return true;
    if (std::ranges::find(line.turns, *ticket.ask.consumer) != line.turns.end()) return true;
  }
  return line.turns.size() + line.bare_turns.size() <
         world.registry.devices[ticket.ask.device.value].capacity;
}

std::optional<Next> next_for_turn(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (line.waiting.empty()) return std::nullopt;
  const TicketId first = line.waiting.begin()->ticket;
  if (world.limits.policy == Policy::fifo)
    return turn_for(world, line, world.tickets.at(first)) ? std::optional(Next{first}) : std::nullopt;
  Outlook outlook(world, device);
  const Found found = by_affinity(world, line, outlook);
  if (found.ticket == nullptr) return std::nullopt;
  if (found.ticket->id == first) return Next{first};
  return Next{found.ticket->id, found.why};
}

std::optional<TicketId> next_to_load_ahead(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (world.limits.policy == Policy::fifo || !world.limits.load_ahead) return std::nullopt;
  if (line.loading || !line.claims.empty() || line.waiting.empty()) return std::nullopt;
  Outlook outlook(world, device);
  const auto worth = [&](const Ticket& head) -> std::optional<double> {
    const Resident* resident = resident_of(world, head);
    if (resident == nullptr || holds_memory(*resident) || head.claims) return std::nullopt;
    if (resident->state == Residency::failed && world.now < resident->retry_at) return std::nullopt;
    const auto change = outlook.seconds_of_change(head, false, true);
    return change ? std::optional(merit(world, head, *change)) : std::nullopt;
  };
  if (const auto barrier = barrier_of(world, line)) {
    const Ticket& head = head_of_queue(world, line, world.tickets.at(barrier->ticket));
    return worth(head) ? std::optional(head.id) : std::nullopt;
  }
  const Ticket* best = best_head(world, line, worth);
  return best == nullptr ? std::nullopt : std::optional(best->id);
}

std::optional<ResidentId> next_to_read_ahead(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (world.limits.policy == Policy::fifo || line.waiting.empty()) return std::nullopt;
  const Ticket* best = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    const Resident* resident = resident_of(world, head);
    if (resident == nullptr || resident->read_ahead) return std::nullopt;
    if (resident->state != Residency::cold && resident->state != Residency::failed) return std::nullopt;
    return merit(world, head, Outlook::seconds(load_time(*resident)));
  });
  return best == nullptr ? std::nullopt : best->ask.resident;
}

}  // namespace mgpu
