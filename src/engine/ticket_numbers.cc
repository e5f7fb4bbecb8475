#include "engine/ticket_numbers.h"

#include <utility>

namespace mgpu::engine {

std::uint64_t TicketNumbers::last_before(const store::Epoch& epoch) {
  return epoch.number * kTicketsPerEpoch + epoch.skipped_tickets;
}

TicketNumbers::TicketNumbers(std::function<store::Epoch()> begin_epoch)
    : begin_epoch_(std::move(begin_epoch)), first_epoch_(begin_epoch_()) {
  continue_in(first_epoch_);
}

void TicketNumbers::continue_in(const store::Epoch& epoch) {
  last_ = last_before(epoch);
  last_usable_ = (epoch.number + 1) * kTicketsPerEpoch - 1;
}

TicketId TicketNumbers::next() {
  if (last_ >= last_usable_) continue_in(begin_epoch_());
  return TicketId{++last_};
}

bool TicketNumbers::is_of_earlier_start(TicketId ticket) const {
  return ticket.value <= last_before(first_epoch_);
}

}  // namespace mgpu::engine
