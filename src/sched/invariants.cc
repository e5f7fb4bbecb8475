// broken_invariant: checks the invariants of the whole world by counting from scratch. The numbers in the
// descriptions are those of the design (../shared/DESIGN.md).
#include <algorithm>
#include <map>

#include "sched/step.h"

namespace mgpu {
namespace {

// The tickets of a consumer, counted from scratch.
struct TicketCounts {
  std::uint32_t waiting = 0, promised = 0, running = 0;
  Bytes leased{};
};

std::string check_line(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  const auto& name = world.registry.devices[device.value].name;
  std::size_t waiting = 0, preparing = 0, running = 0;
  std::size_t counted_waiting = 0,
              counted_running = 0;  // statistics count a split ticket on its first device
  for (const auto& [id, ticket] : world.tickets) {
    if (!is_on_device(world.registry, ticket.request, device)) continue;
    waiting += ticket.stage == TicketStage::waiting, preparing += ticket.stage == TicketStage::preparing;
    running += ticket.stage == TicketStage::running;
    if (ticket.request.device == device)
      ++(ticket.stage == TicketStage::running ? counted_running : counted_waiting);
    const LinePlace place{ticket.due, id};
    const bool is_queued = line.waiting.contains(place) || line.turnless.contains(place);
    if (line.claims.contains(id) != ticket.has_claim ||
        (ticket.has_claim && ticket.stage != TicketStage::waiting))
      return "5: the claims of line " + name + " differ from those of its waiting tickets";
    if (is_queued != (ticket.stage == TicketStage::waiting))
      return "5: line " + name + " does not queue exactly its waiting tickets";
    if (line.preparing.contains(id) != (ticket.stage == TicketStage::preparing))
      return "5: line " + name + " does not list exactly its preparing tickets";
  }
  std::size_t queued = 0;
  for (const auto& [consumer, queue] : line.queues) queued += queue.size();
  if (queued != line.waiting.size())
    return "5: the queues by consumer of line " + name + " differ from its waiting tickets";
  std::size_t queued_turnless = 0;
  for (const auto& [consumer, queue] : line.turnless_queues) queued_turnless += queue.size();
  if (queued_turnless != line.turnless.size())
    return "5: the queues by consumer of line " + name + " differ from its turnless tickets";
  if (line.waiting.size() + line.turnless.size() != waiting || line.preparing.size() != preparing)
    return "5: line " + name + " contains tickets that have ended";
  if (line.statistics.queue_depth != counted_waiting)
    return "5: queue_depth of " + name + " differs from the number of waiting tickets";
  if (line.statistics.in_flight != counted_running || line.running_leases != running)
    return "5: in_flight of " + name + " differs from the number of running leases";
  if (line.turns.size() + line.bare_turns.size() > world.registry.devices[device.value].capacity)
    return "2: more turns are held on " + name + " than its capacity";
  return {};
}

std::string check_consumer(const World& world, ConsumerId id, const TicketCounts& count) {
  const ConsumerState& consumer = world.registry[id];
  const std::string& name = consumer.spec.name;
  if (count.running + count.promised > consumer.spec.concurrency)
    return "2: " + name + " has more promised and running tickets than its concurrency";
  if (count.running != consumer.running_leases || count.promised != consumer.promised_tickets ||
      count.waiting != consumer.waiting_tickets)
    return "5: the ticket counts of " + name + " differ from its tickets";
  if (consumer.spec.lease_only && count.leased != consumer.leased_bytes)
    return "5: the leased bytes of " + name + " differ from the reservations of its tickets";
  const bool needs_turn = !consumer.spec.turnless && count.running + count.promised > 0;
  for (const DeviceId device : devices_of(consumer.spec)) {
    const auto& turns = world.lines[device.value].turns;
    const bool holds_turn = std::ranges::find(turns, id) != turns.end();
    if (holds_turn != needs_turn)
      return "2: " + name + (holds_turn ? " holds a turn without a ticket" : " uses a device without a turn");
  }
  return {};
}

std::string check_resident(const World& world, ResidentId id, std::uint32_t use_count, bool running) {
  const Resident& resident = world.registry[id];
  const ConsumerState& consumer = world.registry[resident.consumer];
  const bool evicted = world.evictions.contains(id);
  const std::string name = consumer.spec.name + "/" + resident.ai_model;
  if (resident.use_count != use_count)
    return "5: the use count of " + name + " differs from the tickets that use it";
  if (running && resident.state != Residency::warm)
    return "3: a lease runs on " + name + ", which is not warm";
  if (evicted && resident.state != Residency::unloading)
    return "4: " + name + " has an eviction in progress, but is not unloading";
  for (const DeviceId device : devices_of(consumer.spec))
    if ((world.lines[device.value].loading == id) !=
        (resident.state == Residency::loading && !resident.loads_by_itself))
      return "4: the line and the state of " + name + " disagree on whether it is loading";
  if ((resident.loads_by_itself && resident.state != Residency::loading) ||
      (resident.was_dropped && resident.state != Residency::warm))
    return "5: what the service did with " + name + " disagrees with its state";
  if (resident.state == Residency::unloading && running)
    return "4: " + name + " is evicted while a lease runs on it";
  return {};
}

// Every waiting or preparing ticket has a timer for its wait limit, so none can wait forever.
std::string check_timers(const World& world) {
  for (const auto& [id, ticket] : world.tickets) {
    if (ticket.stage == TicketStage::running) continue;
    if (!world.expiries.contains({ticket.expires_at, id}))
      return "8: a ticket waits without a timer for its wait limit";
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
  if (bare != world.registry.bare_reserved)
    return "5: the bytes reserved for bare leases differ from the bare tickets";
  for (std::size_t i = 0; i < world.lines.size(); ++i)
    if (auto violation = check_line(world, DeviceId{i}); !violation.empty()) return violation;
  for (std::size_t i = 0; i < world.registry.consumers.size(); ++i)
    if (auto violation = check_consumer(world, ConsumerId{i}, consumers[ConsumerId{i}]); !violation.empty())
      return violation;
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i)
    if (auto violation =
            check_resident(world, ResidentId{i}, use_counts[ResidentId{i}], running[ResidentId{i}]);
        !violation.empty())
      return violation;
  return check_timers(world);
}

}  // namespace mgpu
