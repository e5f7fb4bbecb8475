#include "api/lease_table.h"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

namespace mgpu::api {
namespace {

// When a lease will end is not known. A client that retries each second costs little.
constexpr std::chrono::seconds kRetryAfter{1};

}  // namespace

LeaseTable::LeaseTable(boost::asio::any_io_executor executor, std::uint32_t max_leases)
    : executor_(std::move(executor)), max_leases_(max_leases) {}

Result<LeaseTable::Slot> LeaseTable::reserve_slot() {
  if (*reserved_slots_ >= max_leases_)
    return std::unexpected(
        Error{.code = ErrorCode::queue_full,
              .detail = "all " + std::to_string(max_leases_) +
                        " leases (limits.max_leases) are held or waited for: give one back, "
                        "or raise the limit",
              .retry_after = kRetryAfter});
  ++*reserved_slots_;
  return Slot(nullptr, [taken = reserved_slots_](void*) { --*taken; });
}

std::shared_ptr<void> LeaseTable::add_listing(TicketId ticket, Json listing) {
  (*listings_)[ticket] = std::move(listing);
  return {nullptr, [all = listings_, ticket](void*) { all->erase(ticket); }};
}

void LeaseTable::add(engine::Lease lease, Slot slot, Duration ttl, Json listing) {
  const TicketId ticket = lease.ticket();
  // Posted: the listener is part of the lease, which `release` destroys.
  lease.on_ended(
      [this, ticket](const Error&) { boost::asio::post(executor_, [this, ticket] { release(ticket); }); });
  HeldLease held{.lease = std::move(lease),
                 .slot = std::move(slot),
                 .ttl = ttl,
                 .listing = add_listing(ticket, std::move(listing)),
                 .expiry_timer = std::make_unique<boost::asio::steady_timer>(executor_)};
  schedule_expiry(ticket, held_leases_.emplace(ticket, std::move(held)).first->second);
}

bool LeaseTable::release(TicketId ticket) { return held_leases_.erase(ticket) > 0; }

std::optional<Json> LeaseTable::renew(TicketId ticket) {
  const auto found = held_leases_.find(ticket);
  if (found == held_leases_.end()) return std::nullopt;
  schedule_expiry(ticket, found->second);
  return listings_->at(ticket);
}

// Setting the timer again cancels the wait before.
void LeaseTable::schedule_expiry(TicketId ticket, HeldLease& held) {
  held.expiry_timer->expires_after(held.ttl);
  held.expiry_timer->async_wait([this, ticket](boost::system::error_code cancelled) {
    if (cancelled) return;
    // `renew` may have come between the timer's end and this call.
    const auto found = held_leases_.find(ticket);
    if (found != held_leases_.end() &&
        found->second.expiry_timer->expiry() <= std::chrono::steady_clock::now())
      release(ticket);
  });
}

}  // namespace mgpu::api
