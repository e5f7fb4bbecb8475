#include "witness.h"

#include "sched/step.h"

namespace mgpu::sim {

Effects Witness::operator()(World& world, const Event& event) {
  const Moment now{.step = ++steps_, .at = event.at};
  if (const auto* arrival = std::get_if<TicketArrived>(&event.payload)) {
    tickets_[arrival->ticket] = {.ask = arrival->request, .arrived = now};
    waiting_.insert(arrival->ticket);
  }
  if (const auto* release = std::get_if<LeaseReleased>(&event.payload))
    tickets_[release->ticket].released = now;
  Effects effects = step(world, event);
  for (const Effect& effect : effects) {
    if (const auto* grant = std::get_if<Grant>(&effect)) {
      grants_.push_back(grant->ticket);
      tickets_[grant->ticket].granted = now;
    }
    if (const auto* refusal = std::get_if<Refuse>(&effect)) tickets_[refusal->ticket].refused = true;
  }
  look_at_tickets(world, now);
  return effects;
}

void Witness::look_at_tickets(const World& world, Moment now) {
  std::erase_if(waiting_, [&](TicketId id) {
    const auto there = world.tickets.find(id);
    if (there == world.tickets.end()) return true;
    Seen& seen = tickets_[id];
    if (there->second.stage != TicketStage::waiting) {
      seen.taken_up = now;
      return true;
    }
    if (!there->second.has_claim)
      seen.claimed.reset();
    else if (!seen.claimed)
      seen.claimed = now;
    return false;
  });
}

}  // namespace mgpu::sim
