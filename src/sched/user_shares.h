// Where the users of a line have come to: their next ticket stands behind what they have asked for already.
// Who has had all of that is forgotten, so that this grows with those who ask now, never with those who ever
// did; and there is a most of them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

// More at once: who would be forgotten next is forgotten at once, and begins anew.
inline constexpr std::size_t kMaxUserShares = 4096;

// A user's tickets of one class.
struct UserShareKey {
  std::uint32_t user = 0;
  Priority priority{};
  friend constexpr auto operator<=>(UserShareKey, UserShareKey) = default;
};

class UserShares {
 public:
  // Where a ticket stands that is due then by itself.
  Instant fair_due(UserShareKey key, Instant due) const;

  // A ticket of the user takes its place: the next one stands not before `until`. From `expires_at` on that
  // makes no difference to anybody who comes.
  void charge(UserShareKey key, Instant next_due, Instant expires_at, Instant now);

  std::size_t size() const { return shares_.size(); }

 private:
  struct Share {
    Instant next_due{};
    Instant expires_at{};
  };
  void erase_share(UserShareKey key);

  std::map<UserShareKey, Share> shares_{};
  std::set<std::pair<Instant, UserShareKey>> by_expiry_{};  // the same by `expires_at`
};

}  // namespace mgpu
