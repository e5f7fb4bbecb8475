// Fair shares of the users of a line: the next ticket of a user is due after the shares of the user's former
// tickets. Shares that have no influence any more are erased, so the size depends on the users that are
// active now; it is limited to kMaxUserShares.
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

// When this many are kept, the share that expires first is erased for a new one.
inline constexpr std::size_t kMaxUserShares = 4096;

// A user's tickets of one class.
struct UserShareKey {
  std::uint32_t user = 0;
  Priority priority{};
  friend constexpr auto operator<=>(UserShareKey, UserShareKey) = default;
};

class UserShares {
 public:
  // The due time of the user's next ticket, which without shares would be `due`.
  Instant fair_due(UserShareKey key, Instant due) const;

  // A ticket of the user was admitted: the next one is not due before `next_due`. Tickets that arrive after
  // `expires_at` are due later anyway.
  void charge(UserShareKey key, Instant next_due, Instant expires_at, Instant now);

  std::size_t size() const { return shares_.size(); }

 private:
  struct Share {
    Instant next_due{};
    Instant expires_at{};
  };
  void erase_share(UserShareKey key);

  std::map<UserShareKey, Share> shares_{};
  std::set<std::pair<Instant, UserShareKey>> by_expiry_{};  // keys of shares_ by expires_at
};

}  // namespace mgpu
