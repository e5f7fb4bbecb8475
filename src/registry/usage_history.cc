#include "registry/usage_history.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mgpu {
namespace {

constexpr double kMinSuccessions = 3;   // fewer observations are not significant
constexpr double kMaxSuccessions = 30;  // above this sum all counts are halved

double decayed(double uses, Duration since) {
  return uses * std::exp2(-static_cast<double>(since.count()) / static_cast<double>(kUseHalfLife.count()));
}

double succession_count(const ConsumerState& consumer) {
  double sum = 0;
  for (const auto& [next, count] : consumer.successors) sum += count;
  return sum;
}

}  // namespace

void record_use(Registry& registry, ResidentId id, Instant now) {
  Resident& resident = registry[id];
  resident.decayed_uses = decayed(resident.decayed_uses, now - resident.last_used) + 1;
  resident.last_used = now;
  resident.is_loaded_ahead = false;
  resident.warm_up_blocked = false;
}

void record_succession(Registry& registry, ConsumerId first, ConsumerId next) {
  ConsumerState& consumer = registry[first];
  consumer.successors[next] += 1;
  if (succession_count(consumer) <= kMaxSuccessions) return;
  for (auto& [id, count] : consumer.successors) count /= 2;
}

double use_probability(const Resident& resident, Instant now, Duration horizon) {
  const double uses = decayed(resident.decayed_uses, now - resident.last_used);
  const double in_horizon = uses * std::numbers::ln2 * static_cast<double>(horizon.count()) /
                            static_cast<double>(kUseHalfLife.count());
  return 1 - std::exp(-in_horizon);
}

double succession_probability(const Registry& registry, ConsumerId first, ConsumerId next) {
  const ConsumerState& consumer = registry[first];
  if (std::ranges::find(consumer.spec.followed_by, next) != consumer.spec.followed_by.end()) return 1;
  const double total = succession_count(consumer);
  const auto found = consumer.successors.find(next);
  return total < kMinSuccessions || found == consumer.successors.end() ? 0 : found->second / total;
}

}  // namespace mgpu
