// One ticket, from its arrival until its lease is over. Shared by the ticket table, which says what the core
// decided, and by the coroutine that waits for it or the Lease that holds it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "domain/effect.h"
#include "engine/engine.h"

namespace mgpu::engine {

struct Lease::State {
  State(TicketTable* owner, TicketId number, const TicketRequest& for_request, Holder for_holder,
        const boost::asio::any_io_executor& strand)
      : table(owner),
        ticket(number),
        request(for_request),
        holder(std::move(for_holder)),
        decided(strand, boost::asio::steady_timer::time_point::max()) {}

  TicketTable* table = nullptr;  // null once nothing is left to give back, or the table is closed
  TicketId ticket{};
  TicketRequest request{};  // with the device that the core has chosen
  Holder holder{};
  // The batch job of the holder's process, where it is not the daemon's own: the steps of a job are no
  // descendants of the process that asks for their turn.
  std::string slurm_job{};
  boost::asio::steady_timer decided;  // never fires: cancelled to wake the coroutine that waits
  std::optional<Result<Grant>> outcome{};
  Grant granted{};  // the latest
  std::optional<Error> end_error{};
  bool requeued = false;  // the core made it wait again, and reacquire() has not seen that yet
  std::function<void(const Error&)> on_ended{};

  void set_outcome(Result<Grant> result) {
    outcome = std::move(result);
    decided.cancel();
  }

  // Gives everything back, at whatever stage: cancels a wait, releases a lease. Does nothing the second time.
  void cancel_or_release(Error why);
};

}  // namespace mgpu::engine
