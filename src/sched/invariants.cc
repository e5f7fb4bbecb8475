// The full count behind step's own, local assertions.
#include <algorithm>
#include <map>

#include "sched/step.h"

namespace mgpu {
namespace {

// What the tickets say about a consumer or a line, counted from scratch.
struct TicketCounts {
  std::uint32_t waiting = 0, promised = 0, running = 0;
  Bytes leased{};
};

std::string check_line(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  const auto& name = world.registry.devices[device.value].name;
  std::size_t waiting = 0, preparing = 0, running = 0;
  std::size_t counted_waiting = 0, counted_running = 0;  // the figures of one that is split are kept once
  for (const auto& [id, ticket] : world.tickets) {
    if (!is_on_device(world.registry, ticket.request, device)) continue;
    waiting += ticket.stage == TicketStage::waiting, preparing += ticket.stage == TicketStage::preparing;
    running += ticket.stage == TicketStage::running;
    if (ticket.request.device == device)
      ++(ticket.stage == TicketStage::running ? counted_running : counted_waiting);
    const LinePlace place{ticket.due, id};
    const bool in_lane = line.waiting.contains(place) || line.turnless.contains(place);
    if (line.claims.contains(id) != ticket.has_claim ||
        (ticket.has_claim && ticket.stage != TicketStage::waiting))
      return "5: claims of " + name;
    if (in_lane != (ticket.stage == TicketStage::waiting))
      return "5: a waiting ticket stands in one lane of " + name;
    if (line.preparing.contains(id) != (ticket.stage == TicketStage::preparing))
      return "5: preparing tickets of " + name;
  }
  std::size_t queued = 0;
  for (const auto& [consumer, queue] : line.queues) queued += queue.size();
  if (queued != line.waiting.size()) return "5: the queues of " + name;
  std::size_t queued_turnless = 0;
  for (const auto& [consumer, queue] : line.turnless_queues) queued_turnless += queue.size();
  if (queued_turnless != line.turnless.size()) return "5: the turnless queues of " + name;
  if (line.waiting.size() + line.turnless.size() != waiting || line.preparing.size() != preparing)
    return "5: the line of " + name + " holds tickets that are gone";
  if (line.statistics.queue_depth != counted_waiting) return "5: queue_depth of " + name;
  if (line.statistics.in_flight != counted_running || line.running_leases != running)
    return "5: in_flight of " + name;
  if (line.turns.size() + line.bare_turns.size() > world.registry.devices[device.value].capacity)
    return "2: more turns than capacity on " + name;
  return {};
}

std::string check_consumer(const World& world, ConsumerId id, const TicketCounts& count) {
  const ConsumerState& consumer = world.registry[id];
  const std::string& name = consumer.spec.name;
  if (count.running + count.promised > consumer.spec.concurrency) return "2: concurrency of " + name;
  if (count.running != consumer.running_leases || count.promised != consumer.promised_tickets ||
      count.waiting != consumer.waiting_tickets)
    return "5: counts of " + name;
  if (consumer.spec.lease_only && count.leased != consumer.leased_bytes) return "5: leased bytes of " + name;
  const bool needs_turn = !consumer.spec.turnless && count.running + count.promised > 0;
  for (const DeviceId device : devices_of(consumer.spec)) {
    const auto& turns = world.lines[device.value].turns;
    const bool holds_turn = std::ranges::find(turns, id) != turns.end();
    if (holds_turn != needs_turn) return "2: " + name + " holds a turn exactly while it uses it";
  }
  return {};
}

std::string check_resident(const World& world, ResidentId id, std::uint32_t use_count, bool running) {
  const Resident& resident = world.registry[id];
  const ConsumerState& consumer = world.registry[resident.consumer];
  const bool evicted = world.evictions.contains(id);
  const std::string name = consumer.spec.name + "/" + resident.ai_model;
  if (resident.use_count != use_count) return "5: users of " + name;
  if (running && resident.state != Residency::warm) return "3: a lease on " + name + ", which is not warm";
  if (evicted && resident.state != Residency::unloading)
    return "4: an eviction of " + name + ", which is not unloading";
  for (const DeviceId device : devices_of(consumer.spec))
    if ((world.lines[device.value].loading == id) != (resident.state == Residency::loading))
      return "4: the load of " + name;
  if (resident.state == Residency::unloading && running) return "4: " + name + " is evicted with a lease";
  return {};
}

// Something will happen while anybody waits: every waiting ticket has its wait limit set as a timer at least.
std::string check_timers(const World& world) {
  for (const auto& [id, ticket] : world.tickets) {
    if (ticket.stage == TicketStage::running) continue;
    if (!world.expiries.contains({ticket.expires_at, id})) return "8: a ticket waits without a timer";
  }
  return {};
}

}  // namespace

std::string broken_invariant(const World& world) {
  std::map<ConsumerId, TicketCounts> consumers;
  std::map<ResidentId, std::uint32_t> use_counts;
  std::map<ResidentId, bool> running;
  std::vector<Bytes> bare(world.lines.size());
  for (const auto& [id, ticket] : world.tickets) {
    const bool promised = ticket.stage != TicketStage::waiting;
    if (!ticket.request.consumer) {
      if (promised) bare[ticket.request.device.value] += ticket.request.bytes;
      continue;
    }
    TicketCounts& count = consumers[*ticket.request.consumer];
    ++(ticket.stage == TicketStage::waiting                 ? count.waiting
       : promised && ticket.stage == TicketStage::preparing ? count.promised
                                                            : count.running);
    const Consumer& spec = world.registry[*ticket.request.consumer].spec;
    if (promised && spec.lease_only)
      count.leased += ticket.request.bytes > Bytes{}
                          ? ticket.request.bytes
                          : spec.footprint + working_per_job(world.registry[*ticket.request.consumer]);
    if ((promised || ticket.has_claim) && ticket.request.resident) {
      ++use_counts[*ticket.request.resident];
      running[*ticket.request.resident] |= ticket.stage == TicketStage::running;
    }
  }
  if (bare != world.registry.bare_reserved) return "5: bytes of bare leases";
  for (std::size_t i = 0; i < world.lines.size(); ++i)
    if (auto broken = check_line(world, DeviceId{i}); !broken.empty()) return broken;
  for (std::size_t i = 0; i < world.registry.consumers.size(); ++i)
    if (auto broken = check_consumer(world, ConsumerId{i}, consumers[ConsumerId{i}]); !broken.empty())
      return broken;
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i)
    if (auto broken = check_resident(world, ResidentId{i}, use_counts[ResidentId{i}], running[ResidentId{i}]);
        !broken.empty())
      return broken;
  return check_timers(world);
}

}  // namespace mgpu
