#include "api/lease_book.h"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

namespace mgpu::api {
namespace {

// Leases end when people are done, which nobody foresees; a second keeps the asking cheap.
constexpr std::chrono::seconds kTryAgainAfter{1};

}  // namespace

LeaseBook::LeaseBook(boost::asio::any_io_executor executor, std::uint32_t max_leases)
    : executor_(std::move(executor)), max_leases_(max_leases) {}

Result<LeaseBook::Place> LeaseBook::reserve() {
  if (*taken_ >= max_leases_)
    return std::unexpected(Error{.code = ErrorCode::queue_full,
                                 .detail = "all " + std::to_string(max_leases_) +
                                           " leases (limits.max_leases) are taken or waited for",
                                 .retry_after = kTryAgainAfter});
  ++*taken_;
  return Place(nullptr, [taken = taken_](void*) { --*taken; });
}

std::shared_ptr<void> LeaseBook::list(TicketId ticket, Json shown) {
  (*shown_)[ticket] = std::move(shown);
  return {nullptr, [all = shown_, ticket](void*) { all->erase(ticket); }};
}

void LeaseBook::keep(engine::Lease lease, Place place, Duration ttl, Json shown) {
  const TicketId ticket = lease.ticket();
  // Posted, since the listener lives in the lease that would be destroyed under it.
  lease.on_ended(
      [this, ticket](const Error&) { boost::asio::post(executor_, [this, ticket] { release(ticket); }); });
  Kept kept{.lease = std::move(lease),
            .place = std::move(place),
            .ttl = ttl,
            .listed = list(ticket, std::move(shown)),
            .expiry = std::make_unique<boost::asio::steady_timer>(executor_)};
  expire_later(ticket, kept_.emplace(ticket, std::move(kept)).first->second);
}

bool LeaseBook::release(TicketId ticket) { return kept_.erase(ticket) > 0; }

std::optional<Json> LeaseBook::heartbeat(TicketId ticket) {
  const auto found = kept_.find(ticket);
  if (found == kept_.end()) return std::nullopt;
  expire_later(ticket, found->second);
  return shown_->at(ticket);
}

// Setting the timer anew cancels what waited on it before.
void LeaseBook::expire_later(TicketId ticket, Kept& kept) {
  kept.expiry->expires_after(kept.ttl);
  kept.expiry->async_wait([this, ticket](boost::system::error_code cancelled) {
    if (cancelled) return;
    // A heartbeat may have come between the timer's end and this.
    const auto found = kept_.find(ticket);
    if (found != kept_.end() && found->second.expiry->expiry() <= std::chrono::steady_clock::now())
      release(ticket);
  });
}

}  // namespace mgpu::api
