// An event is applied to the world in two steps: its direct changes (EventApplier), then the lines of the
// devices that it affects are advanced (advance_line).
#include "sched/step.h"

#include <algorithm>

#include "base/assert.h"
#include "domain/enum_names.h"
#include "plan/victim_selection.h"
#include "registry/cost_learning.h"
#include "sched/advance_line.h"
#include "sched/eviction_ladder.h"
#include "sched/found_state.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

// Applies an event and marks the affected lines as dirty.
struct EventApplier {
  World& world;
  Effects& out;

  Consumer& spec_of(ResidentId id) const { return world.registry[world.registry[id].consumer].spec; }
  void mark_all_lines_dirty() const {
    for (std::size_t i = 0; i < world.lines.size(); ++i) mark_line_dirty(world, DeviceId{i});
  }

  void operator()(const TicketArrived& arrived) {
    admit_ticket(world, out, arrived.ticket, arrived.request);
    if (const Ticket* ticket = find_ticket(world, arrived.ticket)) mark_line_dirty(world, *ticket);
  }
  void operator()(const TicketCancelled& cancelled) {
    const Ticket* ticket = find_ticket(world, cancelled.ticket);
    if (ticket == nullptr) return;
    if (ticket->stage == TicketStage::running) {
      end_lease(world, out, cancelled.ticket);
      out.emplace_back(EndLease{.ticket = cancelled.ticket, .error = cancelled.error});
    } else {
      refuse_ticket(world, out, cancelled.ticket, cancelled.error);
    }
  }
  void operator()(const LeaseReleased& released) {
    const Ticket* ticket = find_ticket(world, released.ticket);
    if (ticket != nullptr && ticket->stage == TicketStage::running) end_lease(world, out, released.ticket);
  }
  void operator()(const LoadEnded& ended) {
    end_load(world, out, ended.resident, ended.result, ended.source);
  }
  void operator()(const RungEnded& ended) {
    handle_rung_result(world, out, ended.resident, ended.rung, ended.result);
    mark_line_dirty(world, spec_of(ended.resident));
  }
  void operator()(const ReadingTaken& taken) {
    const Reading& reading = taken.reading;
    Reading& last = world.registry.readings[reading.device.value];
    LineState& line = world.lines[reading.device.value];
    mark_line_dirty(world, reading.device);
    line.is_reading_pending = false;
    if (reading.lost) {  // its numbers are invalid: keep the old ones and their time
      last.lost = true;
      return;
    }
    last = reading;
    if (line.unverified_since && reading.taken_at > *line.unverified_since) line.unverified_since.reset();
    if (reading.taken_at > line.returned_at) line.returned_bytes = Bytes{};
    record_usage(reading);
    keep_reading_pending(reading.device);
  }
  void operator()(const ServiceLost& lost) { lose_service(world, out, lost.consumer, lost.error); }
  void operator()(const ResidentFound& found) { apply_found(world, out, found); }
  void operator()(const ResidentAdded& added) {
    const ResidentId id = add_resident(world.registry, added.consumer, added.ai_model, added.footprint);
    MGPU_ASSERT(id == added.resident, "resident ids are assigned in ascending order without gaps");
    restore_learned_costs(world.registry, id, added.costs);
    mark_line_dirty(world, spec_of(id));
  }
  void operator()(const SizeReported& reported) {
    mark_line_dirty(world, spec_of(reported.resident));
    if (reported.is_estimate) {
      use_estimate(world.registry, reported.resident, reported.bytes);
    } else if (learn_report(world.registry, reported.resident, reported.bytes)) {
      out.emplace_back(CostsLearned{reported.resident, world.registry[reported.resident].costs});
    }
  }
  void operator()(const LearnedForgotten& forgotten) {
    reset_learned_costs(world.registry, forgotten.resident);
    mark_line_dirty(world, spec_of(forgotten.resident));
  }
  void operator()(const EvictionRequested& requested) {
    Resident& resident = world.registry[requested.resident];
    mark_line_dirty(world, spec_of(requested.resident));
    if (is_already_evicted(resident, requested.park)) {
      resident.warm_up_blocked = true;
    } else if (check_eviction(world, requested.resident, requested.park)) {
      const DeviceId device = spec_of(requested.resident).device;
      out.emplace_back(Planned{.device = device,
                               .reason = PlanReason::operator_request,
                               .victims = {requested.resident},
                               .headroom = headroom(world.registry, device)});
      begin_eviction(world, out, requested.resident, PlanReason::operator_request, requested.park);
    }
  }
  void operator()(const KeepAliveSet& set) {
    Resident& resident = world.registry[set.resident];
    const bool unloads = set.keep_alive == Duration{0};
    if (is_already_evicted(resident, false)) {
      resident.warm_up_blocked |= unloads;
      return;
    }
    resident.keep_alive = set.keep_alive;
    resident.last_used = world.now;
    mark_line_dirty(world, spec_of(set.resident));
    // A parked resident is not evicted for idleness.
    if (unloads && resident.state == Residency::parked && check_eviction(world, set.resident, false))
      begin_eviction(world, out, set.resident, PlanReason::operator_request, false);
  }
  void operator()(const DrainRequested&) {
    world.draining = true;
    const Error error{ErrorCode::shutting_down, "the daemon is shutting down"};
    for (LineState& line : world.lines) {
      while (!line.preparing.empty()) refuse_ticket(world, out, *line.preparing.begin(), error);
      for (const TicketQueue* queue : {&line.waiting, &line.turnless})
        while (!queue->empty()) refuse_ticket(world, out, queue->begin()->ticket, error);
    }
    mark_all_lines_dirty();
  }
  void operator()(const Tick&) {
    while (!world.expiries.empty() && world.expiries.begin()->first <= world.now) {
      const TicketId id = world.expiries.begin()->second;
      const Ticket& ticket = *find_ticket(world, id);
      const Duration waited = world.now - ticket.arrived_at;
      const bool is_past_deadline =
          ticket.request.deadline > Duration{0} && waited >= ticket.request.deadline;
      refuse_ticket(
          world, out, id,
          {ErrorCode::wait_limit, "not granted within " + to_rounded_string(waited) + ", which is its " +
                                      (is_past_deadline ? "deadline" : "wait limit")});
    }
    mark_all_lines_dirty();
  }
  void operator()(const OutOfMemorySeen& seen) {
    const Ticket* ticket = find_ticket(world, seen.ticket);
    if (ticket != nullptr && ticket->stage == TicketStage::running) requeue_ticket(world, out, seen.ticket);
  }
  void operator()(const StrayEnded&) {}
  void operator()(const StrayLeftAlone&) {}
  void operator()(const HourBegan& began) {
    world.hour = began.hour;
    mark_all_lines_dirty();
  }

  // The most jobs of the consumer that may have run when a reading was taken. It may be older than the end of
  // some of them.
  static std::uint32_t jobs_at(const ConsumerState& consumer, Instant taken_at) {
    return taken_at > consumer.last_lease_end ? consumer.running_leases
                                              : std::max(consumer.running_leases, consumer.spec.concurrency);
  }

  // Stores the measured bytes of each consumer on the device, and learns from them.
  void record_usage(const Reading& reading) {
    for (ConsumerState& consumer : world.registry.consumers)
      if (is_on_device(consumer.spec, reading.device))
        device_usage(consumer, reading.device).measured = Bytes{};
    for (const auto& [id, bytes] : reading.consumers)
      if (ConsumerState& consumer = world.registry[id]; is_on_device(consumer.spec, reading.device))
        device_usage(consumer, reading.device).measured = bytes;
    for (ConsumerState& consumer : world.registry.consumers) {
      if (!is_on_device(consumer.spec, reading.device)) continue;
      device_usage(consumer, reading.device).jobs = jobs_at(consumer, reading.taken_at);
      if (const auto learned = learn_measurement(world.registry, consumer, reading.device, reading.taken_at,
                                                 !reading.is_per_process))
        out.emplace_back(CostsLearned{*learned, world.registry[*learned].costs});
      attribute_measurement(world.registry, consumer, reading.device);
    }
  }

  // An eviction that was answered and is not finished needs the next reading, too.
  void keep_reading_pending(DeviceId device) {
    world.lines[device.value].is_reading_pending =
        std::ranges::any_of(world.evictions, [&](const auto& entry) {
          const auto& [resident, eviction] = entry;
          return eviction.is_answered && is_on_device(spec_of(resident), device);
        });
  }
};

}  // namespace

Effects step(World& world, const Event& event) {
  MGPU_ASSERT(event.at >= world.now, "event times never decrease");
  world.now = event.at;
  Effects out;
  std::visit(EventApplier{world, out}, event.payload);
  while (!world.dirty_lines.empty()) {
    const DeviceId device = world.dirty_lines.front();
    world.dirty_lines.erase(world.dirty_lines.begin());
    advance_line(world, out, device);
  }
  return out;
}

Instant next_wakeup(const World& world) {
  Instant next = world.expiries.empty() ? kNever : world.expiries.begin()->first;
  for (std::size_t i = 0; i < world.lines.size(); ++i) next = std::min(next, next_wakeup(world, DeviceId{i}));
  return next;
}

Result<void> check_eviction(const World& world, ResidentId id, bool park) {
  const Resident& resident = world.registry[id];
  const Consumer& spec = world.registry[resident.consumer].spec;
  if (park ? !spec.can_park : !(spec.can_unload || spec.can_stop))
    return fail(ErrorCode::not_supported,
                spec.name + (park ? " does not support parking"
                                  : " can't be evicted: its service can't unload, and its process can't be "
                                    "stopped by the daemon"));
  if (spec.pinned) return fail(ErrorCode::busy, spec.name + " is pinned");
  if (resident.use_count > 0)
    return fail(ErrorCode::busy, spec.name + " is in use: a lease runs on it, or it is loaded for a ticket");
  if (has_resident_in(world.registry, world.registry[resident.consumer], Residency::loading))
    return fail(ErrorCode::busy, spec.name + " is loading an AI model; try again when that is over");
  const bool is_loaded = resident.state == Residency::warm || (!park && resident.state == Residency::parked);
  if (!is_loaded)
    return fail(ErrorCode::busy, spec.name + " is " + std::string(to_string(resident.state)) + ", not warm");
  return {};
}

bool is_already_evicted(const Resident& resident, bool park) {
  return resident.state == Residency::cold || resident.state == Residency::failed ||
         (park && resident.state == Residency::parked);
}

std::size_t place_in_line(const World& world, TicketId id) {
  const auto found = world.tickets.find(id);
  if (found == world.tickets.end() || found->second.stage != TicketStage::waiting) return 0;
  const LineState& line = world.lines[found->second.request.device.value];
  const LinePlace place{found->second.due, id};
  const TicketQueue& queue = line.waiting.contains(place) ? line.waiting : line.turnless;
  return static_cast<std::size_t>(std::distance(queue.begin(), queue.find(place))) + 1;
}

Statistics statistics_of(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  Statistics statistics = line.statistics;
  const auto update_oldest = [&](TicketId id) {
    const Instant arrived_at = world.tickets.at(id).arrived_at;
    statistics.oldest_queued = std::min(statistics.oldest_queued.value_or(arrived_at), arrived_at);
  };
  for (const TicketQueue* queue : {&line.waiting, &line.turnless})
    for (const LinePlace& place : *queue) update_oldest(place.ticket);
  for (const TicketId id : line.preparing) update_oldest(id);
  return statistics;
}

Statistics total_statistics(const World& world) {
  Statistics sum;
  for (std::size_t i = 0; i < world.lines.size(); ++i)
    sum = sum_statistics(sum, statistics_of(world, DeviceId{i}));
  return sum;
}

}  // namespace mgpu
