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

class LeaseBook {
 public:
  LeaseBook(boost::asio::any_io_executor executor, std::uint32_t max_leases);

  // One of the max_leases, from the request on; gives itself back.
  using Place = std::shared_ptr<void>;  // shared only so that it may be empty and movable
  Result<Place> reserve();              // Error: queue_full

  // Keeps the lease until release, expiry or the engine's end of it. `shown` is its JSON.
  void keep(engine::Lease lease, Place place, Duration ttl, Json shown);

  // Listed while the returned object lives: a lease that its connection's coroutine holds.
  [[nodiscard]] std::shared_ptr<void> list(TicketId ticket, Json shown);

  bool release(TicketId ticket);                   // false: unknown
  std::optional<Json> heartbeat(TicketId ticket);  // the lease's JSON; none: unknown
  const std::map<TicketId, Json>& shown() const { return *shown_; }
  bool is_bound(TicketId ticket) const { return shown_->contains(ticket) && !kept_.contains(ticket); }

 private:
  struct Kept {
    engine::Lease lease;
    Place place;
    Duration ttl{};
    std::shared_ptr<void> listed;
    std::unique_ptr<boost::asio::steady_timer> expiry;
  };
  void expire_later(TicketId ticket, Kept& kept);

  boost::asio::any_io_executor executor_;
  std::uint32_t max_leases_;
  // Shared with the guards that `reserve` and `list` give away, which may outlive the book at shutdown.
  std::shared_ptr<std::uint32_t> taken_ = std::make_shared<std::uint32_t>(0);
  std::shared_ptr<std::map<TicketId, Json>> shown_ = std::make_shared<std::map<TicketId, Json>>();
  std::map<TicketId, Kept> kept_;
};

}  // namespace mgpu::api
