#include "explain/prospect.h"

#include <algorithm>
#include <iterator>

#include "sched/estimate.h"
#include "sched/step.h"

namespace mgpu::explain {
namespace {

TicketId unused_number(const World& world) {
  TicketId last{};
  for (const auto& [id, ticket] : world.tickets) last = std::max(last, id);
  return {last.value + 1};
}

void hear(World& world, Effects& effects, Happening what) {
  for (Effect& effect : step(world, {.at = world.now, .what = std::move(what)}))
    effects.push_back(std::move(effect));
}

bool wants_reading(const Effects& effects, DeviceId device) {
  return std::ranges::any_of(effects, [&](const Effect& effect) {
    const auto* wanted = std::get_if<TakeReading>(&effect);
    return wanted != nullptr && wanted->device == device;
  });
}

std::vector<TicketId> holders_on(const World& world, DeviceId device, TicketId but) {
  std::vector<TicketId> holders;
  for (const auto& [id, ticket] : world.tickets) {
    const bool turnless = ticket.ask.consumer && world.registry[*ticket.ask.consumer].spec.turnless;
    if (ticket.ask.device == device && ticket.stage != Stage::waiting && id != but && !turnless)
      holders.push_back(id);
  }
  std::ranges::sort(holders);
  return holders;
}

std::vector<TicketId> before(const World& world, const Ticket& ticket) {
  const LineState& line = world.lines[ticket.ask.device.value];
  const Place own{ticket.due, ticket.id};
  const Lane& lane = line.waiting.contains(own) ? line.waiting : line.turnless;
  std::vector<TicketId> found;
  for (auto place = lane.begin(); place != lane.end() && *place < own && found.size() < kBeforeShown; ++place)
    found.push_back(place->ticket);
  return found;
}

}  // namespace

Prospect prospect(World world, const Ask& ask) {
  Prospect told{.ticket = unused_number(world), .ask = ask};
  if (ask.resident) {
    const Residency state = world.registry[*ask.resident].state;
    told.must_load = state != Residency::warm && state != Residency::loading;
  }
  hear(world, told.effects, TicketArrived{told.ticket, ask});
  if (wants_reading(told.effects, ask.device) && !world.registry.readings[ask.device.value].lost) {
    Reading again = world.registry.readings[ask.device.value];
    again.taken = world.now;
    hear(world, told.effects, ReadingTaken{std::move(again)});
  }
  const auto ticket = world.tickets.find(told.ticket);
  if (ticket == world.tickets.end()) {
    for (const Effect& effect : told.effects)
      if (const auto* refused = std::get_if<Refuse>(&effect); refused && refused->ticket == told.ticket)
        told.refused = refused->why;
    return told;
  }
  told.stage = ticket->second.stage;
  told.holders = holders_on(world, ask.device, told.ticket);
  if (told.stage == Stage::waiting) {
    told.place = place_in_line(world, told.ticket);
    told.before = before(world, ticket->second);
  }
  told.estimated_start =
      told.stage == Stage::running ? std::optional(world.now) : estimated_start(world, told.ticket);
  if (told.estimated_start) told.estimated_wait = until(*told.estimated_start, world.now);
  return told;
}

}  // namespace mgpu::explain
