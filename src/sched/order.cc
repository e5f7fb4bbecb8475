#include "sched/order.h"

#include <algorithm>
#include <vector>

#include "plan/victim_selection.h"
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

// What the ticket's promise would add to what is committed on the device.
Bytes need(const World& world, const Ticket& ticket, DeviceId device, bool with_work) {
  const TicketRequest& ask = ticket.ask;
  const Registry& registry = world.registry;
  if (!ask.consumer) {  // what its process holds already may cover some of it
    const Bytes promised = registry.bare_reserved[device.value], seen = registry.readings[device.value].bare;
    return std::max(promised + ask.bytes, seen) - std::max(promised, seen);
  }
  const ConsumerState& consumer = registry[*ask.consumer];
  if (consumer.spec.lease_only)
    return commitment_growth(registry, consumer, device, reservation(registry, ask));
  const Resident& resident = registry[*ask.resident];
  Bytes more = with_work ? working_per_job(consumer) : Bytes{};
  const bool counted =
      resident.state == Residency::warm || resident.state == Residency::loading || resident.use_count > 0;
  if (!counted) more += resident.footprint;
  return commitment_growth(registry, consumer, device, more);
}

// A decision's view of a device: what could leave is looked up once, and only if somebody's room needs it.
class Outlook {
 public:
  Outlook(const World& world, DeviceId device)
      : world_(world), device_(device), space_(headroom(world.registry, device) + incoming(world, device)) {}

  // Seconds until the ticket could run: nothing if its resident is warm and its working memory fits. Nullopt:
  // there is no room for it, whoever leaves.
  std::optional<double> seconds_of_change(const Ticket& ticket, bool with_work, bool spare_the_wanted) {
    double change = is_warm(world_, ticket) ? 0 : seconds(load_time(*resident_of(world_, ticket)));
    for (const DeviceId device : devices_of(world_.registry, ticket.ask)) {
      const auto leaving =
          device == device_ ? seconds_of_leaving(ticket, with_work, spare_the_wanted)
                            : Outlook(world_, device).seconds_of_leaving(ticket, with_work, spare_the_wanted);
      if (!leaving) return std::nullopt;
      change += *leaving;
    }
    return change;
  }

  bool may_run(const Ticket& ticket) {
    return turn_for(world_, ticket) && seconds_of_change(ticket, true, false).has_value();
  }

  static double seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

 private:
  // Until room is made for it on this device.
  std::optional<double> seconds_of_leaving(const Ticket& ticket, bool with_work, bool spare_the_wanted) {
    const Bytes deficit = need(world_, ticket, device_, with_work) - space_;
    double change = 0;
    if (deficit <= Bytes{}) return change;
    Bytes gained{};
    for (const EvictionCandidate& candidate : candidates()) {
      if (gained >= deficit) break;
      const Resident& resident = world_.registry[candidate.resident];
      if (ticket.ask.resident == candidate.resident) continue;
      if (spare_the_wanted && resident.waiting > 0) continue;
      gained += candidate.yield_bytes;
      change += seconds(unload_time(resident)) +
                seconds(candidate.reload_time) * need_probability(world_.registry, resident, world_.now);
    }
    return gained < deficit ? std::nullopt : std::optional(change);
  }

  const std::vector<EvictionCandidate>& candidates() {
    if (!candidates_) candidates_ = eviction_candidates(world_.registry, device_, world_.now);
    return *candidates_;
  }

  const World& world_;
  DeviceId device_;
  Bytes space_;
  std::optional<std::vector<EvictionCandidate>> candidates_{};
};

// What a change of residents for this ticket serves, a second of it: the waiting work of its consumer,
// weighted, over the time that the change and that work take. The largest first gives the shortest mean wait.
double merit(const World& world, const Ticket& ticket, double change) {
  const Resident* resident = resident_of(world, ticket);
  if (resident == nullptr) return 1 / (change + Outlook::seconds(kDefaultRunTime));
  const double waiting = std::max<double>(1, resident->waiting);
  const double run = Outlook::seconds(run_time(*resident, kDefaultRunTime));
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

bool somebody_must_queue(const World& world, const LineState& line) {
  return std::ranges::any_of(line.streaks,
                             [&](const Streak& streak) { return past_its_turn(world, streak); });
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
  OvertakeReason why{};
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

// Whether one that is due earlier has borne its bound, in any line that the ticket stands in.
bool passes_a_barrier(const World& world, const Ticket& ticket) {
  return std::ranges::any_of(devices_of(world.registry, ticket.ask), [&](DeviceId device) {
    const auto barrier = barrier_of(world, world.lines[device.value]);
    return barrier && *barrier < Place{ticket.due, ticket.id};
  });
}

bool is_split(const World& world, const Ticket& ticket) {
  return devices_of(world.registry, ticket.ask).size() > 1;
}

const Ticket& head_of_queue(const World& world, const LineState& line, const Ticket& ticket) {
  return world.tickets.at(line.queues.at(ticket.ask.consumer).begin()->ticket);
}

// Of those that `barred` lets through: the turn's own next, then who is warm, then the change that pays most.
template <class Barred>
Found by_preference(const World& world, const LineState& line, Outlook& outlook, Barred barred) {
  if (const Ticket* next = next_of_the_turn(world, line, outlook); next != nullptr && !barred(*next))
    return {next, OvertakeReason::same_turn};
  const Ticket* warm = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    if (barred(head) || !is_warm(world, head) || !outlook.may_run(head)) return std::nullopt;
    return weighted_wait(world, head);
  });
  if (warm != nullptr) return {warm, OvertakeReason::warm};
  const Ticket* cold = best_head(world, line, [&](const Ticket& head) -> std::optional<double> {
    if (barred(head) || is_warm(world, head) || !turn_for(world, head)) return std::nullopt;
    const auto change = outlook.seconds_of_change(head, true, false);
    return change ? std::optional(merit(world, head, *change)) : std::nullopt;
  });
  return {cold, OvertakeReason::cheaper_change};
}

Found by_affinity(const World& world, const LineState& line, Outlook& outlook) {
  const std::optional<Place> barrier = barrier_of(world, line);
  if (barrier) {
    const Ticket& head = head_of_queue(world, line, world.tickets.at(barrier->ticket));
    if (outlook.may_run(head) && !(is_split(world, head) && passes_a_barrier(world, head)))
      return {&head, OvertakeReason::due_at_last};
    if (const Ticket* ready = claimed_and_ready(world, line, outlook))
      return {ready, OvertakeReason::loaded_ahead};
  }
  const auto barred = [&](const Ticket& head) {
    if (barrier && *barrier < Place{head.due, head.id}) return true;
    return is_split(world, head) && passes_a_barrier(world, head);
  };
  const bool idle = line.turns.empty() && line.bare_turns.empty();
  const bool polite = line.queues.size() > 1 && somebody_must_queue(world, line);
  Found found = by_preference(world, line, outlook, [&](const Ticket& head) {
    if (barred(head)) return true;
    return polite && line.waiting.begin()->ticket != head.id && must_queue(world, line, head);
  });
  // Whoever has had its turn goes on rather than that the device stands idle: the first may wait for another.
  if (found.ticket == nullptr && polite && idle) found = by_preference(world, line, outlook, barred);
  // And the first may wait for the very memory that a claim keeps, which has to serve before it leaves.
  if (found.ticket == nullptr)
    found = {claimed_and_ready(world, line, outlook), OvertakeReason::loaded_ahead};
  return found;
}

// Who is exclusive shares the turn with nobody. Those that need none have nothing to do with it: they come
// and go without end, and whoever waited for all of them to be gone would wait for ever.
bool exclusive_stands_between(const World& world, const LineState& line, const Ticket& ticket) {
  const bool alone = ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.exclusive;
  if (alone && !line.bare_turns.empty()) return true;
  return std::ranges::any_of(line.turns, [&](ConsumerId holder) {
    return ticket.ask.consumer != holder && (alone || world.registry[holder].spec.exclusive);
  });
}

bool turn_on(const World& world, DeviceId device, const Ticket& ticket) {
  const LineState& line = world.lines[device.value];
  if (stands_still(world, device)) return false;
  if (ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.turnless) return true;
  if (exclusive_stands_between(world, line, ticket)) return false;
  if (ticket.ask.consumer && std::ranges::find(line.turns, *ticket.ask.consumer) != line.turns.end())
    return true;
  return line.turns.size() + line.bare_turns.size() < world.registry.devices[device.value].capacity;
}

// Under fifo nobody is passed, on no device.
bool stands_first(const World& world, const Ticket& ticket) {
  return std::ranges::all_of(devices_of(world.registry, ticket.ask), [&](DeviceId device) {
    return world.lines[device.value].waiting.begin()->ticket == ticket.id;
  });
}

// So much later than its arrival it is due.
Duration class_delay(const World& world, const Ticket& ticket) {
  return saturating_product(world.limits.ageing, static_cast<int>(priority_of(world, ticket.ask)));
}

UserClass user_class(const World& world, const Ticket& ticket) {
  return {.user = ticket.ask.user, .priority = priority_of(world, ticket.ask)};
}

}  // namespace

Priority priority_of(const World& world, const TicketRequest& ask) {
  if (ask.priority) return *ask.priority;
  return ask.consumer ? world.registry[*ask.consumer].spec.priority : Priority::normal;
}

Instant due_of(const World& world, const Ticket& ticket) {
  if (world.limits.policy == Policy::fifo) return ticket.arrived;
  const Instant due = ticket.arrived + class_delay(world, ticket);
  if (ticket.ask.user == 0) return due;
  return world.lines[ticket.ask.device.value].shares.place(user_class(world, ticket), due);
}

void take_share(World& world, const Ticket& ticket) {
  if (world.limits.policy == Policy::fifo || ticket.ask.user == 0) return;
  const Resident* resident = resident_of(world, ticket);
  const Duration share = resident == nullptr ? kDefaultRunTime : run_time(*resident, kDefaultRunTime);
  const Instant until = ticket.due + share;
  // Who comes then is due by itself no earlier.
  const Instant forgotten = until + -class_delay(world, ticket);
  world.lines[ticket.ask.device.value].shares.take(user_class(world, ticket), until, forgotten, world.now);
}

Duration overtake_bound(const World& world, const Ticket& ticket) {
  if (world.limits.overtake_limit > Duration{0}) return world.limits.overtake_limit;
  // Each consumer that waits may want its change before the first one's: the bound follows what a round
  // costs.
  Duration round{0};
  for (const DeviceId device : devices_of(world.registry, ticket.ask))
    for (const auto& [consumer, queue] : world.lines[device.value].queues) {
      const Resident* resident = resident_of(world, world.tickets.at(queue.begin()->ticket));
      if (resident != nullptr) round += load_time(*resident, LoadSource::cached) + unload_time(*resident);
    }
  return std::max(kLeastBound, saturating_product(round, kChangesBorne));
}

bool turn_for(const World& world, const Ticket& ticket) {
  if (ticket.ask.consumer) {
    const ConsumerState& consumer = world.registry[*ticket.ask.consumer];
    if (consumer.running_leases + consumer.promised_tickets >= consumer.spec.concurrency) return false;
  }
  return std::ranges::all_of(devices_of(world.registry, ticket.ask),
                             [&](DeviceId device) { return turn_on(world, device, ticket); });
}

bool stands_still(const World& world, DeviceId device) {
  return world.lines[device.value].doubtful_since || world.registry.readings[device.value].yielded;
}

std::optional<Next> next_for_turn(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  if (line.waiting.empty()) return std::nullopt;
  const TicketId first = line.waiting.begin()->ticket;
  if (world.limits.policy == Policy::fifo) {
    const Ticket& head = world.tickets.at(first);
    return stands_first(world, head) && turn_for(world, head) ? std::optional(Next{first}) : std::nullopt;
  }
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
    if (is_split(world, head))
      return std::nullopt;  // it would hold the one device while it waits for the other
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
    if (resident == nullptr || resident->was_read_ahead) return std::nullopt;
    if (resident->state != Residency::cold && resident->state != Residency::failed) return std::nullopt;
    return merit(world, head, Outlook::seconds(load_time(*resident)));
  });
  return best == nullptr ? std::nullopt : best->ask.resident;
}

}  // namespace mgpu
