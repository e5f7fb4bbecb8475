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
inline constexpr std::size_t kUsersRemembered = 4096;

// A user's tickets of one class.
struct UserClass {
  std::uint32_t user = 0;
  Priority priority{};
  friend constexpr auto operator<=>(UserClass, UserClass) = default;
};

class UserShares {
 public:
  // Where a ticket stands that is due then by itself.
  Instant place(UserClass whose, Instant due) const;

  // A ticket of the user takes its place: the next one stands not before `until`. From `forgotten` on that
  // makes no difference to anybody who comes.
  void take(UserClass whose, Instant until, Instant forgotten, Instant now);

  std::size_t size() const { return shares_.size(); }

 private:
  struct Share {
    Instant until{};
    Instant forgotten{};
  };
  void forget(UserClass whose);

  std::map<UserClass, Share> shares_{};
  std::set<std::pair<Instant, UserClass>> by_end_{};  // the same by `forgotten`
};

}  // namespace mgpu
