#include "explain/what_if.h"

#include <algorithm>
#include <ranges>
#include <set>
#include <span>

#include "sched/start_estimate.h"
#include "sched/step.h"

namespace mgpu::explain {
namespace {

TicketId unused_ticket_id(const World& world) {
  TicketId last{};
  for (const auto& [id, ticket] : world.tickets) last = std::max(last, id);
  return {last.value + 1};
}

void apply_event(World& world, Effects& effects, EventPayload payload) {
  for (Effect& effect : step(world, {.at = world.now, .payload = std::move(payload)}))
    effects.push_back(std::move(effect));
}

// Answers requested readings with the last reading of the device, as if it were taken now.
void answer_readings(World& world, Effects& effects) {
  std::set<DeviceId> requested;
  for (const Effect& effect : effects)
    if (const auto* take = std::get_if<TakeReading>(&effect)) requested.insert(take->device);
  for (const DeviceId device : requested) {
    Reading reading = world.registry.readings[device.value];
    if (reading.lost) continue;
    reading.taken_at = world.now + Duration{1};  // later than whatever has just ended
    apply_event(world, effects, ReadingTaken{std::move(reading)});
  }
}

bool intersects(std::span<const DeviceId> a, std::span<const DeviceId> b) {
  return std::ranges::find_first_of(a, b) != a.end();
}

// The tickets that hold a turn on one of the ticket's devices.
std::vector<TicketId> find_turn_holders(const World& world, const Ticket& own) {
  const auto devices = devices_of(world.registry, own.request);
  std::vector<TicketId> holders;
  for (const auto& [id, ticket] : world.tickets) {
    const bool turnless = ticket.request.consumer && world.registry[*ticket.request.consumer].spec.turnless;
    if (ticket.stage != TicketStage::waiting && id != own.id && !turnless &&
        intersects(devices_of(world.registry, ticket.request), devices))
      holders.push_back(id);
  }
  std::ranges::sort(holders);
  return holders;
}

std::vector<TicketId> find_tickets_ahead(const World& world, const Ticket& ticket) {
  const LinePlace own{ticket.due, ticket.id};
  TicketQueue places;
  for (const DeviceId device : devices_of(world.registry, ticket.request)) {
    const LineState& line = world.lines[device.value];
    const TicketQueue& queue = line.waiting.contains(own) ? line.waiting : line.turnless;
    places.insert(queue.begin(), queue.find(own));
  }
  std::vector<TicketId> found;
  for (const LinePlace& place : places | std::views::take(kMaxTicketsAhead)) found.push_back(place.ticket);
  return found;
}

}  // namespace

WhatIf what_if(World world, const TicketRequest& request) {
  WhatIf result{.ticket = unused_ticket_id(world), .request = request};
  if (request.resident) {
    const Residency state = world.registry[*request.resident].state;
    result.must_load = state != Residency::warm && state != Residency::loading;
  }
  apply_event(world, result.effects, TicketArrived{result.ticket, request});
  answer_readings(world, result.effects);
  const auto ticket = world.tickets.find(result.ticket);
  if (ticket == world.tickets.end()) {
    for (const Effect& effect : result.effects)
      if (const auto* refused = std::get_if<Refuse>(&effect); refused && refused->ticket == result.ticket)
        result.refused = refused->error;
    return result;
  }
  result.stage = ticket->second.stage;
  result.turn_holders = find_turn_holders(world, ticket->second);
  if (result.stage == TicketStage::waiting) {
    result.place = place_in_line(world, result.ticket);
    result.tickets_ahead = find_tickets_ahead(world, ticket->second);
  }
  result.estimated_start =
      result.stage == TicketStage::running ? std::optional(world.now) : estimated_start(world, result.ticket);
  if (result.estimated_start) result.estimated_wait = time_remaining(*result.estimated_start, world.now);
  return result;
}

}  // namespace mgpu::explain
