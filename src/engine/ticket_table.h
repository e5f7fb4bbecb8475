// The tickets that wait and those that are leases: from a request to a Lease that gives itself back. Owns the
// state of each and their numbers, and passes on what the core decides.
//
// A wait or a lease ends in one place for all reasons and at all moments (Lease::State::cancel_or_release),
// so that nothing is lost when a cancellation crosses a grant.
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
        device_of{};  // that the core has chosen; none: no ticket
  };
  TicketTable(boost::asio::any_io_executor strand, TicketNumbers numbers, Hooks hooks);
  ~TicketTable();
  TicketTable(const TicketTable&) = delete;
  TicketTable& operator=(const TicketTable&) = delete;

  // As Engine::acquire and Engine::reacquire say. The coroutines may outlive the table once it is closed.
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest request, Holder holder,
                                                std::function<void(TicketId)> on_ticket);
  boost::asio::awaitable<Result<void>> reacquire(std::shared_ptr<Lease::State> state);

  // What the core decided. Of tickets that are gone: ignored.
  void on_grant(const Grant& grant);
  void on_refuse(const Refuse& refusal);
  void on_requeued(const Requeued& requeued);
  void on_end_lease(const EndLease& end);

  const TicketNumbers& numbers() const { return numbers_; }
  const Holder* holder(TicketId ticket) const;   // null: no such ticket
  std::vector<TicketProcess> processes() const;  // of those tickets whose holder named one

  // Tickets that wait are refused with shutting_down; leases give nothing back any more.
  void close();

 private:
  friend struct Lease::State;
  using StatePtr = std::shared_ptr<Lease::State>;
  struct StateGuard;

  static boost::asio::awaitable<Result<Grant>> wait_for_decision(StatePtr state);
  void record_chosen_device(TicketId ticket);
  StatePtr find(TicketId ticket) const;  // null: no such ticket
  StatePtr take(TicketId ticket);        // out of the table; null: no such ticket

  const boost::asio::any_io_executor strand_;
  const Hooks hooks_;
  const std::string own_slurm_job_;  // of the daemon: tells its holders' processes from nothing
  std::map<TicketId, StatePtr> states_{};
  TicketNumbers numbers_;
  bool closed_ = false;
};

}  // namespace mgpu::engine
