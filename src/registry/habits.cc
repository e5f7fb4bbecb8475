#include "registry/habits.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mgpu {
namespace {

constexpr double kEnoughToTell = 3;  // successions seen before they mean anything
constexpr double kRemembered = 30;   // and how many weigh at once

double faded(double uses, Duration since) {
  return uses * std::exp2(-static_cast<double>(since.count()) / static_cast<double>(kHalfLife.count()));
}

double successions(const ConsumerState& consumer) {
  double sum = 0;
  for (const auto& [next, count] : consumer.followers) sum += count;
  return sum;
}

}  // namespace

void note_use(Registry& registry, ResidentId id, Instant now) {
  Resident& resident = registry[id];
  resident.decayed_uses = faded(resident.decayed_uses, now - resident.last_used) + 1;
  resident.last_used = now;
  resident.is_loaded_ahead = false;
  resident.warm_up_blocked = false;
}

void note_followed(Registry& registry, ConsumerId first, ConsumerId next) {
  ConsumerState& consumer = registry[first];
  consumer.followers[next] += 1;
  if (successions(consumer) <= kRemembered) return;
  for (auto& [id, count] : consumer.followers) count /= 2;
}

double chance_of_use(const Resident& resident, Instant now, Duration horizon) {
  const double uses = faded(resident.decayed_uses, now - resident.last_used);
  const double in_horizon = uses * std::numbers::ln2 * static_cast<double>(horizon.count()) /
                            static_cast<double>(kHalfLife.count());
  return 1 - std::exp(-in_horizon);
}

double chance_of_following(const Registry& registry, ConsumerId first, ConsumerId next) {
  const ConsumerState& consumer = registry[first];
  if (std::ranges::find(consumer.spec.followed_by, next) != consumer.spec.followed_by.end()) return 1;
  const double all = successions(consumer);
  const auto found = consumer.followers.find(next);
  return all < kEnoughToTell || found == consumer.followers.end() ? 0 : found->second / all;
}

}  // namespace mgpu
