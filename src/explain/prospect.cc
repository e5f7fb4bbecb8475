#include "explain/prospect.h"

#include <algorithm>
#include <ranges>
#include <set>
#include <span>

#include "sched/start_estimate.h"
#include "sched/step.h"

namespace mgpu::explain {
namespace {

TicketId unused_number(const World& world) {
  TicketId last{};
  for (const auto& [id, ticket] : world.tickets) last = std::max(last, id);
  return {last.value + 1};
}

void hear(World& world, Effects& effects, EventPayload what) {
  for (Effect& effect : step(world, {.at = world.now, .payload = std::move(what)}))
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
    hear(world, effects, ReadingTaken{std::move(again)});
  }
}

bool meet(std::span<const DeviceId> some, std::span<const DeviceId> others) {
  return std::ranges::find_first_of(some, others) != some.end();
}

// Who holds or is about to hold a turn where the ticket wants one.
std::vector<TicketId> holders_near(const World& world, const Ticket& own) {
  const auto devices = devices_of(world.registry, own.request);
  std::vector<TicketId> holders;
  for (const auto& [id, ticket] : world.tickets) {
    const bool turnless = ticket.request.consumer && world.registry[*ticket.request.consumer].spec.turnless;
    if (ticket.stage != TicketStage::waiting && id != own.id && !turnless &&
        meet(devices_of(world.registry, ticket.request), devices))
      holders.push_back(id);
  }
  std::ranges::sort(holders);
  return holders;
}

std::vector<TicketId> before(const World& world, const Ticket& ticket) {
  const LinePlace own{ticket.due, ticket.id};
  TicketQueue places;
  for (const DeviceId device : devices_of(world.registry, ticket.request)) {
    const LineState& line = world.lines[device.value];
    const TicketQueue& lane = line.waiting.contains(own) ? line.waiting : line.turnless;
    places.insert(lane.begin(), lane.find(own));
  }
  std::vector<TicketId> found;
  for (const LinePlace& place : places | std::views::take(kBeforeShown)) found.push_back(place.ticket);
  return found;
}

}  // namespace

Prospect prospect(World world, const TicketRequest& ask) {
  Prospect told{.ticket = unused_number(world), .ask = ask};
  if (ask.resident) {
    const Residency state = world.registry[*ask.resident].state;
    told.must_load = state != Residency::warm && state != Residency::loading;
  }
  hear(world, told.effects, TicketArrived{told.ticket, ask});
  answer_readings(world, told.effects);
  const auto ticket = world.tickets.find(told.ticket);
  if (ticket == world.tickets.end()) {
    for (const Effect& effect : told.effects)
      if (const auto* refused = std::get_if<Refuse>(&effect); refused && refused->ticket == told.ticket)
        told.refused = refused->error;
    return told;
  }
  told.stage = ticket->second.stage;
  told.holders = holders_near(world, ticket->second);
  if (told.stage == TicketStage::waiting) {
    told.place = place_in_line(world, told.ticket);
    told.before = before(world, ticket->second);
  }
  told.estimated_start =
      told.stage == TicketStage::running ? std::optional(world.now) : estimated_start(world, told.ticket);
  if (told.estimated_start) told.estimated_wait = time_remaining(*told.estimated_start, world.now);
  return told;
}

}  // namespace mgpu::explain
