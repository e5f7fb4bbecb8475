// The tickets that wait and those that hold a lease, from the request to the release. Owns the state and the
// number of each, and applies the core's decisions.
//
// A wait or a lease ends in one function for all causes and at all stages (Lease::State::cancel_or_release),
// so that a grant that crosses a cancellation is always released.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "domain/effect.h"
#include "domain/event.h"
#include "engine/engine.h"
#include "engine/memory_owners.h"
#include "engine/ticket_numbers.h"

namespace mgpu::engine {

class TicketTable {
 public:
  struct Hooks {
    std::function<void(EventPayload)> dispatch{};  // to the core
    std::function<std::optional<DeviceId>(TicketId)>
        device_of{};  // the device that the core chose; none: no such ticket
    // Whether the processes of a lease that was given back may still hold device memory: then finish_release
    // is called when they do no more. May be empty.
    std::function<bool(TicketId, const std::string& run)> release_when_gone{};
  };
  TicketTable(boost::asio::any_io_executor strand, TicketNumbers numbers, Hooks hooks);
  ~TicketTable();
  TicketTable(const TicketTable&) = delete;
  TicketTable& operator=(const TicketTable&) = delete;

  // See Engine::acquire and Engine::reacquire. The coroutines may outlive the table once it is closed.
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest request, Holder holder,
                                                std::function<void(TicketId)> on_ticket);
  boost::asio::awaitable<Result<void>> reacquire(std::shared_ptr<Lease::State> state);

  // Apply the core's decisions. Tickets that no longer exist are ignored.
  void on_grant(const Grant& grant);
  void on_refuse(const Refuse& refusal);
  void on_requeued(const Requeued& requeued);
  void on_end_lease(const EndLease& end);

  const TicketNumbers& numbers() const { return numbers_; }
  const Holder* holder(TicketId ticket) const;   // null: no such ticket
  std::vector<TicketProcess> processes() const;  // of tickets whose holder names a process

  void finish_release(TicketId ticket);  // see Hooks::release_when_gone

  // Refuses waiting tickets with shutting_down; leases released later have no effect.
  void close();

 private:
  friend struct Lease::State;
  using StatePtr = std::shared_ptr<Lease::State>;
  struct StateGuard;

  static boost::asio::awaitable<Result<Grant>> wait_for_decision(StatePtr state);
  void release(TicketId ticket);
  void record_chosen_device(TicketId ticket);
  StatePtr find(TicketId ticket) const;  // null: no such ticket
  StatePtr take(TicketId ticket);        // removes it from the table; null: no such ticket

  const boost::asio::any_io_executor strand_;
  const Hooks hooks_;
  const std::string own_slurm_job_;  // the daemon's: does not distinguish a holder's processes
  std::map<TicketId, StatePtr> states_{};
  TicketNumbers numbers_;
  bool closed_ = false;
};

}  // namespace mgpu::engine
