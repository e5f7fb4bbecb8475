#include "ticket_recorder.h"

#include "sched/step.h"

namespace mgpu::sim {

Effects TicketRecorder::operator()(World& world, const Event& event) {
  const StepTime now{.step = ++steps_, .at = event.at};
  if (const auto* arrival = std::get_if<TicketArrived>(&event.payload)) {
    tickets_[arrival->ticket] = {.request = arrival->request, .arrived = now};
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
  update_waiting_tickets(world, now);
  return effects;
}

void TicketRecorder::update_waiting_tickets(const World& world, StepTime now) {
  std::erase_if(waiting_, [&](TicketId id) {
    const auto found = world.tickets.find(id);
    if (found == world.tickets.end()) return true;
    TicketRecord& record = tickets_[id];
    if (found->second.stage != TicketStage::waiting) {
      record.promised = now;
      return true;
    }
    if (!found->second.has_claim)
      record.claimed.reset();
    else if (!record.claimed)
      record.claimed = now;
    return false;
  });
}

}  // namespace mgpu::sim
