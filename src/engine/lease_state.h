// The state of one ticket, from its arrival until its lease ends. Shared by the ticket table, which applies
// the core's decisions, and by the coroutine that waits for the ticket or the Lease that holds it.
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

  TicketTable* table = nullptr;  // null once nothing is left to release, or after the table was closed
  TicketId ticket{};
  TicketRequest request{};  // including the device that the core chose
  Holder holder{};
  // The Slurm job of the holder's process if it differs from the daemon's own: the steps of a job are not
  // descendants of the process that requests the lease.
  std::string slurm_job{};
  std::string run{};                  // of what the holder starts, if that is `mgpu run`
  boost::asio::steady_timer decided;  // never expires: cancelled to resume the waiting coroutine
  std::optional<Result<Grant>> outcome{};
  Grant granted{};  // the latest
  std::optional<Error> end_error{};
  bool requeued = false;  // the core queued it again, and reacquire() has not consumed that yet
  std::function<void(const Error&)> on_ended{};

  void set_outcome(Result<Grant> result) {
    outcome = std::move(result);
    decided.cancel();
  }

  // Ends the ticket at any stage: cancels a wait, releases a lease. Has no effect the second time.
  void cancel_or_release(Error why);
};

}  // namespace mgpu::engine
