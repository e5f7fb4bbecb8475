#include "sched/user_shares.h"

#include <algorithm>

namespace mgpu {

Instant UserShares::fair_due(UserShareKey key, Instant due) const {
  const auto found = shares_.find(key);
  return found == shares_.end() ? due : std::max(due, found->second.next_due);
}

void UserShares::charge(UserShareKey key, Instant next_due, Instant expires_at, Instant now) {
  erase_share(key);
  while (!by_expiry_.empty() && (by_expiry_.begin()->first <= now || shares_.size() >= kMaxUserShares))
    erase_share(by_expiry_.begin()->second);
  shares_[key] = {.next_due = next_due, .expires_at = expires_at};
  by_expiry_.emplace(expires_at, key);
}

void UserShares::erase_share(UserShareKey key) {
  const auto found = shares_.find(key);
  if (found == shares_.end()) return;
  by_expiry_.erase({found->second.expires_at, key});
  shares_.erase(found);
}

}  // namespace mgpu
