// The leases that were taken over the API: at most so many, each with a time to live or bound to its
// connection. Everything on the strand.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/codec.h"
#include "base/time.h"
#include "engine/engine.h"

namespace mgpu::api {

class LeaseTable {
 public:
  LeaseTable(boost::asio::any_io_executor executor, std::uint32_t max_leases);

  // One of the max_leases, from the request on; gives itself back.
  using Slot = std::shared_ptr<void>;  // shared only so that it may be empty and movable
  Result<Slot> reserve_slot();         // Error: queue_full

  // Keeps the lease until release, expiry or the engine's end of it. `shown` is its JSON.
  void add(engine::Lease lease, Slot slot, Duration ttl, Json listing);

  // Listed while the returned object lives: a lease that its connection's coroutine holds.
  [[nodiscard]] std::shared_ptr<void> add_listing(TicketId ticket, Json listing);

  bool release(TicketId ticket);               // false: unknown
  std::optional<Json> renew(TicketId ticket);  // the lease's JSON; none: unknown
  const std::map<TicketId, Json>& listings() const { return *listings_; }
  bool is_bound(TicketId ticket) const {
    return listings_->contains(ticket) && !held_leases_.contains(ticket);
  }

 private:
  struct HeldLease {
    engine::Lease lease;
    Slot slot;
    Duration ttl{};
    std::shared_ptr<void> listing;
    std::unique_ptr<boost::asio::steady_timer> expiry_timer;
  };
  void schedule_expiry(TicketId ticket, HeldLease& held);

  boost::asio::any_io_executor executor_;
  std::uint32_t max_leases_;
  // Shared with the guards that `reserve_slot` and `list` give away, which may outlive the book at shutdown.
  std::shared_ptr<std::uint32_t> reserved_slots_ = std::make_shared<std::uint32_t>(0);
  std::shared_ptr<std::map<TicketId, Json>> listings_ = std::make_shared<std::map<TicketId, Json>>();
  std::map<TicketId, HeldLease> held_leases_;
};

}  // namespace mgpu::api
