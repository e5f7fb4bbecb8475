// Somebody's place at the GPU, from the moment they ask until their lease is over: shared by the engine,
// which tells it what the core decided, and by whoever waits or holds.
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
  State(Engine::Impl* owner, TicketId number, const TicketRequest& for_ask, Holder for_holder,
        const boost::asio::any_io_executor& strand)
      : engine(owner),
        ticket(number),
        ask(for_ask),
        holder(std::move(for_holder)),
        decided(strand, boost::asio::steady_timer::time_point::max()) {}

  Engine::Impl* engine = nullptr;  // null once the engine is gone
  TicketId ticket{};
  TicketRequest ask{};  // with the device that the core has chosen
  Holder holder{};
  // The batch job of the holder, where it is not the daemon's own: the steps of a job are no children of who
  // asks for their turn.
  std::string slurm_job{};
  boost::asio::steady_timer decided;  // never fires: cancelled to wake whoever waits
  std::optional<Result<Grant>> outcome{};
  Grant granted{};  // the latest
  std::optional<Error> end_error{};
  bool requeued = false;  // the core made it wait again, and nobody was told yet
  std::function<void(const Error&)> on_ended{};

  void set_outcome(Result<Grant> result) {
    outcome = std::move(result);
    decided.cancel();
  }

  // Gives everything back, whatever stage it is in: cancels a wait, releases a lease. Once is enough.
  void cancel_or_release(Error why);
};

}  // namespace mgpu::engine
