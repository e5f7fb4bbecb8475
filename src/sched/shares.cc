#include "sched/shares.h"

#include <algorithm>

namespace mgpu {

Instant UserShares::place(UserClass whose, Instant due) const {
  const auto found = shares_.find(whose);
  return found == shares_.end() ? due : std::max(due, found->second.until);
}

void UserShares::take(UserClass whose, Instant until, Instant forgotten, Instant now) {
  forget(whose);
  while (!by_end_.empty() && (by_end_.begin()->first <= now || shares_.size() >= kUsersRemembered))
    forget(by_end_.begin()->second);
  shares_[whose] = {.until = until, .forgotten = forgotten};
  by_end_.emplace(forgotten, whose);
}

void UserShares::forget(UserClass whose) {
  const auto found = shares_.find(whose);
  if (found == shares_.end()) return;
  by_end_.erase({found->second.forgotten, whose});
  shares_.erase(found);
}

}  // namespace mgpu
