// The leases that were taken over the API: `limits.max_leases` at most, each with a time to live or bound to
// its connection.
//
// Thread: the strand.
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

  // One of max_leases. Taken when the request comes, so that waiting requests count; its destructor gives it
  // back.
  using Slot = std::shared_ptr<void>;  // shared only to be movable, with an action for its end
  Result<Slot> reserve_slot();         // Error: queue_full

  // Keeps the lease until `release`, its expiry, or the engine ends it. `listing` is its JSON.
  void add(engine::Lease lease, Slot slot, Duration ttl, Json listing);

  // For a lease that is bound to its connection: it is listed while the returned object lives.
  [[nodiscard]] std::shared_ptr<void> add_listing(TicketId ticket, Json listing);

  bool release(TicketId ticket);               // false: unknown
  std::optional<Json> renew(TicketId ticket);  // the lease's JSON; none: unknown
  const std::map<TicketId, Json>& listings() const { return *listings_; }
  // Whether it is bound to its connection.
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
  // Shared with what `reserve_slot` and `add_listing` return, which may outlive the table at shutdown.
  std::shared_ptr<std::uint32_t> reserved_slots_ = std::make_shared<std::uint32_t>(0);
  std::shared_ptr<std::map<TicketId, Json>> listings_ = std::make_shared<std::map<TicketId, Json>>();
  std::map<TicketId, HeldLease> held_leases_;
};

}  // namespace mgpu::api
