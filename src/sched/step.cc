// One event: what it changes by itself, then what follows on the device it concerns.
#include "sched/step.h"

#include <algorithm>

#include "base/assert.h"
#include "plan/victims.h"
#include "registry/learning.h"
#include "sched/advance.h"
#include "sched/ladder.h"
#include "sched/transitions.h"

namespace mgpu {
namespace {

// Applies an event and returns the device that it concerns; none: all of them.
struct Apply {
  World& world;
  Effects& out;
  using Where = std::optional<DeviceId>;

  DeviceId device_of(ResidentId id) const { return world.registry[world.registry[id].consumer].spec.device; }

  Where operator()(const TicketArrived& arrived) {
    admit(world, out, arrived.ticket, arrived.ask);
    const Ticket* ticket = find_ticket(world, arrived.ticket);
    return ticket == nullptr ? arrived.ask.device : ticket->ask.device;
  }
  Where operator()(const TicketCancelled& cancelled) {
    const Ticket* ticket = find_ticket(world, cancelled.ticket);
    if (ticket == nullptr) return DeviceId{};
    const DeviceId device = ticket->ask.device;
    if (ticket->stage == Stage::running) {
      release(world, out, cancelled.ticket);
      out.emplace_back(EndLease{.ticket = cancelled.ticket, .why = cancelled.why});
    } else {
      refuse(world, out, cancelled.ticket, cancelled.why);
    }
    return device;
  }
  Where operator()(const LeaseReleased& released) {
    const Ticket* ticket = find_ticket(world, released.ticket);
    if (ticket == nullptr || ticket->stage != Stage::running) return DeviceId{};
    const DeviceId device = ticket->ask.device;
    release(world, out, released.ticket);
    return device;
  }
  Where operator()(const LoadEnded& ended) {
    end_load(world, out, ended.resident, ended.result, ended.source);
    return device_of(ended.resident);
  }
  Where operator()(const RungEnded& ended) {
    rung_ended(world, out, ended.resident, ended.rung, ended.result);
    return device_of(ended.resident);
  }
  Where operator()(const ReadingTaken& taken) {
    const Reading& reading = taken.reading;
    Reading& last = world.registry.readings[reading.device.value];
    world.lines[reading.device.value].reading_asked = false;
    if (reading.lost) {  // its numbers mean nothing: keep the old ones, but their age too
      last.lost = true;
      return reading.device;
    }
    last = reading;
    auto& doubtful_since = world.lines[reading.device.value].doubtful_since;
    if (doubtful_since && reading.taken > *doubtful_since) doubtful_since.reset();
    LineState& line = world.lines[reading.device.value];
    if (reading.taken > line.returned_at) line.returned = Bytes{};
    for (ConsumerState& consumer : world.registry.consumers)
      if (consumer.spec.device == reading.device) consumer.measured = Bytes{};
    for (const auto& [consumer, bytes] : reading.consumers) world.registry[consumer].measured = bytes;
    for (ConsumerState& consumer : world.registry.consumers)
      if (consumer.spec.device == reading.device) {
        if (reading.by_process)
          learn_measured(world.registry, consumer, reading.taken);  // reckoned bytes teach nothing
        note_measured(world.registry, consumer);
      }
    ask_again(reading.device);
    return reading.device;
  }
  Where operator()(const ServiceLost& lost) {
    lose_service(world, out, lost.consumer, lost.why);
    return world.registry[lost.consumer].spec.device;
  }
  Where operator()(const FoundWarm& found) {
    Resident& resident = world.registry[found.resident];
    if (resident.state == Residency::cold || resident.state == Residency::failed) {
      resident.state = Residency::warm;
      resident.last_used = world.now;
      resident.clear_view = false;
      // Readings may have shown its bytes before anybody knew whose they are.
      note_measured(world.registry, world.registry[resident.consumer]);
    }
    return device_of(found.resident);
  }
  Where operator()(const ResidentAdded& added) {
    const ResidentId id = add_resident(world.registry, added.consumer, added.ai_model, added.footprint);
    MGPU_ASSERT(id == added.resident, "resident ids are given out in order");
    recall(world.registry, id, added.learned);
    return device_of(id);
  }
  Where operator()(const LearnedForgotten& forgotten) {
    forget_learned(world.registry, forgotten.resident);
    return device_of(forgotten.resident);
  }
  Where operator()(const EvictionRequested& requested) {
    if (may_evict(world, requested.resident, requested.park)) {
      const DeviceId device = device_of(requested.resident);
      out.emplace_back(
          Planned{.device = device, .reason = Reason::operator_request, .victims = {requested.resident}});
      begin_eviction(world, out, requested.resident, Reason::operator_request, requested.park);
    }
    return device_of(requested.resident);
  }
  Where operator()(const DrainRequested&) {
    world.draining = true;
    const Error why{Code::shutting_down, "the daemon is shutting down"};
    for (LineState& line : world.lines) {
      while (!line.preparing.empty()) refuse(world, out, *line.preparing.begin(), why);
      for (const Lane* lane : {&line.waiting, &line.turnless})
        while (!lane->empty()) refuse(world, out, lane->begin()->ticket, why);
    }
    return std::nullopt;
  }
  Where operator()(const Tick&) {
    while (!world.expiries.empty() && world.expiries.begin()->first <= world.now) {
      const TicketId id = world.expiries.begin()->second;
      const Ticket& ticket = *find_ticket(world, id);
      const Duration waited = world.now - ticket.arrived;
      const bool too_late = ticket.ask.deadline > Duration{0} && waited >= ticket.ask.deadline;
      refuse(world, out, id,
             {Code::wait_limit,
              "waited " + rounded(waited) + ", which is its " + (too_late ? "deadline" : "limit")});
    }
    return std::nullopt;
  }

  Where operator()(const OutOfMemorySeen& seen) {
    const Ticket* ticket = find_ticket(world, seen.ticket);
    if (ticket == nullptr || ticket->stage != Stage::running) return DeviceId{};
    const DeviceId device = ticket->ask.device;
    requeue(world, out, seen.ticket);
    return device;
  }
  Where operator()(const StrayEnded&) { return std::nullopt; }
  Where operator()(const HourBegan& began) {
    world.hour = began.hour;
    return std::nullopt;
  }

  // An eviction that still waits to see its memory free wants the next reading, too.
  void ask_again(DeviceId device) {
    LineState& line = world.lines[device.value];
    const bool wanted = std::ranges::any_of(line.evictions, [](const auto& e) { return e.second.answered; });
    line.reading_asked = wanted;
  }
};

}  // namespace

Effects step(World& world, const Event& event) {
  MGPU_ASSERT(event.at >= world.now, "time does not go back");
  world.now = event.at;
  Effects out;
  const std::optional<DeviceId> device = std::visit(Apply{world, out}, event.what);
  if (device) {
    advance(world, out, *device);
  } else {
    for (std::size_t i = 0; i < world.lines.size(); ++i) advance(world, out, DeviceId{i});
  }
  return out;
}

Instant next_wakeup(const World& world) {
  Instant next = world.expiries.empty() ? kNever : world.expiries.begin()->first;
  for (std::size_t i = 0; i < world.lines.size(); ++i) next = std::min(next, next_wakeup(world, DeviceId{i}));
  return next;
}

Result<void> may_evict(const World& world, ResidentId id, bool park) {
  const Resident& resident = world.registry[id];
  const Consumer& spec = world.registry[resident.consumer].spec;
  if (park ? !spec.can_park : !(spec.can_unload || spec.can_stop))
    return fail(Code::not_supported, spec.name + (park ? " can't be parked" : " has no way to unload"));
  if (spec.pinned) return fail(Code::busy, spec.name + " is pinned");
  if (resident.users > 0) return fail(Code::busy, spec.name + " has a lease or is being made ready for one");
  if (any_in(world.registry, world.registry[resident.consumer], Residency::loading))
    return fail(Code::busy, spec.name + " is loading another AI model");
  const bool there = resident.state == Residency::warm || (!park && resident.state == Residency::parked);
  if (!there) return fail(Code::busy, spec.name + " is not warm");
  return {};
}

std::size_t place_in_line(const World& world, TicketId id) {
  const auto found = world.tickets.find(id);
  if (found == world.tickets.end() || found->second.stage != Stage::waiting) return 0;
  const LineState& line = world.lines[found->second.ask.device.value];
  const Place place{found->second.due, id};
  const Lane& lane = line.waiting.contains(place) ? line.waiting : line.turnless;
  return static_cast<std::size_t>(std::distance(lane.begin(), lane.find(place))) + 1;
}

Statistics statistics_of(const World& world, DeviceId device) {
  const LineState& line = world.lines[device.value];
  Statistics statistics = line.statistics;
  const auto consider = [&](TicketId id) {
    const Instant arrived = world.tickets.at(id).arrived;
    statistics.oldest_queued = std::min(statistics.oldest_queued.value_or(arrived), arrived);
  };
  for (const Lane* lane : {&line.waiting, &line.turnless})
    for (const Place& place : *lane) consider(place.ticket);
  for (const TicketId id : line.preparing) consider(id);
  return statistics;
}

Statistics total_statistics(const World& world) {
  Statistics sum;
  for (std::size_t i = 0; i < world.lines.size(); ++i) sum = sum_of(sum, statistics_of(world, DeviceId{i}));
  return sum;
}

}  // namespace mgpu
