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

void apply_event(World& world, Effects& effects, EventPayload happening) {
  for (Effect& effect : step(world, {.at = world.now, .payload = std::move(happening)}))
    effects.push_back(std::move(effect));
}

// The readings that were asked for, as if they showed what the last ones did.
void answer_readings(World& world, Effects& effects) {
  std::set<DeviceId> wanted;
  for (const Effect& effect : effects)
    if (const auto* take = std::get_if<TakeReading>(&effect)) wanted.insert(take->device);
  for (const DeviceId device : wanted) {
    Reading again = world.registry.readings[device.value];
    if (again.lost) continue;
    again.taken_at = world.now;
    apply_event(world, effects, ReadingTaken{std::move(again)});
  }
}

bool intersects(std::span<const DeviceId> some, std::span<const DeviceId> others) {
  return std::ranges::find_first_of(some, others) != some.end();
}

// Who holds or is about to hold a turn where the ticket wants one.
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
    const TicketQueue& lane = line.waiting.contains(own) ? line.waiting : line.turnless;
    places.insert(lane.begin(), lane.find(own));
  }
  std::vector<TicketId> found;
  for (const LinePlace& place : places | std::views::take(kMaxTicketsAhead)) found.push_back(place.ticket);
  return found;
}

}  // namespace

WhatIf what_if(World world, const TicketRequest& ask) {
  WhatIf result{.ticket = unused_ticket_id(world), .ask = ask};
  if (ask.resident) {
    const Residency state = world.registry[*ask.resident].state;
    result.must_load = state != Residency::warm && state != Residency::loading;
  }
  apply_event(world, result.effects, TicketArrived{result.ticket, ask});
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
