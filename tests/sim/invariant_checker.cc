#include "invariant_checker.h"

#include <algorithm>
#include <stdexcept>

#include "base/assert.h"
#include "sched/step.h"

namespace mgpu::sim {
namespace {

struct AssertionFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void mix_hash(std::uint64_t& hash, std::uint64_t value) { hash = (hash ^ value) * 1099511628211ULL; }

struct EffectHasher {
  std::uint64_t& hash;
  void operator()(const Grant& e) const {
    mix_hash(hash, e.ticket.value), mix_hash(hash, static_cast<std::uint64_t>(e.waited.count()));
  }
  void operator()(const Refuse& e) const {
    mix_hash(hash, e.ticket.value), mix_hash(hash, static_cast<std::uint64_t>(e.error.code));
  }
  void operator()(const EndLease& e) const { mix_hash(hash, e.ticket.value); }
  void operator()(const Load& e) const { mix_hash(hash, e.resident.value); }
  void operator()(const Evict& e) const {
    mix_hash(hash, e.resident.value), mix_hash(hash, static_cast<std::uint64_t>(e.rung));
  }
  void operator()(const TakeReading& e) const { mix_hash(hash, e.device.value); }
  void operator()(const Planned& e) const {
    for (const ResidentId victim : e.victims) mix_hash(hash, victim.value);
  }
  void operator()(const Evicted& e) const { mix_hash(hash, static_cast<std::uint64_t>(e.after_bytes.count)); }
  void operator()(const EvictionFailed& e) const {
    mix_hash(hash, static_cast<std::uint64_t>(e.still_held_bytes.count));
  }
  void operator()(const ReadAhead& e) const { mix_hash(hash, e.resident.value); }
  void operator()(const CostsLearned& e) const {
    mix_hash(hash, e.resident.value), mix_hash(hash, static_cast<std::uint64_t>(e.costs.footprint.count));
  }
  void operator()(const Overtook& e) const {
    mix_hash(hash, e.ticket.value), mix_hash(hash, e.overtaken.size());
  }
  void operator()(const Requeued& e) const { mix_hash(hash, e.ticket.value); }
  void operator()(const LoadedInVain& e) const { mix_hash(hash, e.resident.value); }
};

}  // namespace

std::string InvariantChecker::step_and_check(World& world, const Event& event) {
  set_assertion_handler([](const char* invariant) { throw AssertionFailure(invariant); });
  record_waiting_tickets(world);
  try {
    effects_ = step(world, event);
  } catch (const AssertionFailure& failure) {
    return std::string("assertion: ") + failure.what();
  }
  for (const Effect& effect : effects_) {
    mix_hash(fingerprint_, effect.index());
    std::visit(EffectHasher{fingerprint_}, effect);
  }
  if (const auto* arrival = std::get_if<TicketArrived>(&event.payload)) open_tickets_.insert(arrival->ticket);
  if (const auto* release = std::get_if<LeaseReleased>(&event.payload);
      release && !world.tickets.contains(release->ticket))
    if (open_tickets_.erase(release->ticket)) ended_tickets_.insert(release->ticket);
  for (const std::string& violation :
       {check_memory(world), check_ticket_ends(world), check_order(world), broken_invariant(world)})
    if (!violation.empty()) return violation;
  if (std::holds_alternative<Tick>(event.payload) && next_wakeup(world) <= world.now)
    return "8: after a Tick the next wake-up is not in the future";
  return {};
}

// Invariant 1: the memory that is used, or may be used now, fits the device. Computed from the reading, the
// configuration and the tickets. Promises do not count: those of the same step may follow the load or grant.
std::string InvariantChecker::check_memory(const World& world) const {
  std::set<DeviceId> used_devices;
  const auto add_devices = [&](std::span<const DeviceId> devices) {
    used_devices.insert(devices.begin(), devices.end());
  };
  for (const Effect& effect : effects_) {
    if (const auto* load = std::get_if<Load>(&effect))
      add_devices(devices_of(world.registry[world.registry[load->resident].consumer].spec));
    if (const auto* grant = std::get_if<Grant>(&effect))
      if (const auto ticket = world.tickets.find(grant->ticket); ticket != world.tickets.end())
        add_devices(devices_of(world.registry, ticket->second.request));
  }
  for (const DeviceId device : used_devices) {
    const Reading& reading = world.registry.readings[device.value];
    std::int64_t sum = reading.foreign.count + world.registry.devices[device.value].reserve.count;
    std::int64_t bare = 0;
    for (const auto& [id, ticket] : world.tickets)
      if (!ticket.request.consumer && ticket.request.device == device && ticket.stage == TicketStage::running)
        bare += ticket.request.bytes.count;
    sum += std::max(bare, reading.bare.count);
    for (const ConsumerState& consumer : world.registry.consumers) {
      if (!is_on_device(consumer.spec, device)) continue;
      std::int64_t expected = 0;
      for (const auto& [id, ticket] : world.tickets)
        if (ticket.request.consumer && &world.registry[*ticket.request.consumer] == &consumer &&
            ticket.stage == TicketStage::running)
          expected += consumer.spec.lease_only && ticket.request.bytes > Bytes{} ? ticket.request.bytes.count
                      : consumer.spec.lease_only ? (consumer.spec.footprint + working_per_job(consumer)).count
                                                 : working_per_job(consumer).count;
      for (const ResidentId id : consumer.residents)
        if (holds_memory(world.registry[id]) && !world.registry[id].leaves_host_memory)
          expected += world.registry[id].footprint.count;
      sum += std::max(device_part(consumer.spec, device, {expected}), device_usage(consumer, device).measured)
                 .count;
    }
    if (sum > reading.total.count) return "1: a load or grant overcommits a device";
  }
  return {};
}

std::string InvariantChecker::check_ticket_ends(const World& world) {
  for (const Effect& effect : effects_) {
    TicketId ended_ticket{};
    if (const auto* refused = std::get_if<Refuse>(&effect)) ended_ticket = refused->ticket;
    if (const auto* ended = std::get_if<EndLease>(&effect)) ended_ticket = ended->ticket;
    if (ended_ticket == TicketId{}) continue;
    if (!open_tickets_.erase(ended_ticket)) return "5: a ticket ended twice, or never arrived";
    ended_tickets_.insert(ended_ticket);
  }
  for (const TicketId id : open_tickets_)
    if (!world.tickets.contains(id)) return "5: a ticket disappeared without an end";
  for (const auto& [id, ticket] : world.tickets)
    if (ended_tickets_.contains(id)) return "5: a ticket still exists after its end";
  return {};
}

// Invariant 6: a ticket that was promised its turn in this step may overtake others only within the rules:
// never under fifo, never within a group of equal consumer, class and user, and not past the bound of an
// overtaken ticket unless its resident was loaded ahead.
std::string InvariantChecker::check_order(const World& world) const {
  for (const auto& [id, before] : waiting_before_) {
    const auto now = world.tickets.find(id);
    if (now == world.tickets.end() || now->second.stage == TicketStage::waiting) continue;
    for (const DeviceId device : devices_of(world.registry, now->second.request))
      for (const LinePlace& earlier : world.lines[device.value].waiting) {
        if (!(earlier < LinePlace{now->second.due, id})) break;
        if (world.limits.policy == Policy::fifo)
          return "6: a ticket overtook one that was due before it under fifo";
        const auto bound = waiting_before_.find(earlier.ticket);
        if (bound != waiting_before_.end() && world.now >= bound->second.overtake_until && !before.has_claim)
          return "6: a ticket was overtaken after its overtake bound";
      }
    for (const auto& [other, other_before] : waiting_before_)
      if (other < id && other_before.consumer == now->second.request.consumer &&
          other_before.class_and_user == before.class_and_user && now->second.request.consumer &&
          world.tickets.contains(other) && world.tickets.at(other).stage == TicketStage::waiting)
        return "6: a ticket overtook an earlier one of the same consumer, class and user";
  }
  return {};
}

void InvariantChecker::record_waiting_tickets(const World& world) {
  waiting_before_.clear();
  for (const LineState& line : world.lines)
    for (const LinePlace& place : line.waiting) {
      const Ticket& ticket = world.tickets.at(place.ticket);
      const Priority default_priority =
          ticket.request.consumer ? world.registry[*ticket.request.consumer].spec.priority : Priority::normal;
      const auto priority = static_cast<std::uint64_t>(ticket.request.priority.value_or(default_priority));
      waiting_before_[place.ticket] = {.overtake_until = ticket.overtake_until,
                                       .has_claim = ticket.has_claim,
                                       .consumer = ticket.request.consumer,
                                       .class_and_user = priority << 32U | ticket.request.user};
    }
}

}  // namespace mgpu::sim
