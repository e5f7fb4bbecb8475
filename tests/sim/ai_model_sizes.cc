#include "ai_model_sizes.h"

#include "plan/victim_selection.h"

namespace mgpu::sim {

Bytes AiModelSizes::add_resident(Random& random, ConsumerId consumer, Bytes bytes) {
  const Knowledge& knowledge = consumers_[consumer.value];
  const bool is_left_out = knowledge.leaves_out && random.chance(0.5);
  residents_.push_back({.consumer = consumer,
                        .bytes = Bytes{bytes.count / 100 * knowledge.true_percent},
                        .is_left_out = is_left_out});
  return is_left_out ? Bytes{} : bytes;
}

std::optional<Bytes> AiModelSizes::report(Random& random, ResidentId id) const {
  const Size& size = residents_[id.value];
  const Knowledge& knowledge = consumers_[size.consumer.value];
  if (!knowledge.reports || !random.chance(0.7)) return std::nullopt;
  return knowledge.understates ? Bytes{size.bytes.count / 100 * random.between(20, 99)} : size.bytes;
}

bool AiModelSizes::takes_more_than_known(ConsumerId consumer) const {
  const Knowledge& knowledge = consumers_[consumer.value];
  return knowledge.true_percent > 100 || (knowledge.reports && knowledge.understates);
}

std::string missing_room_for_unknown(const Registry& registry, ResidentId id, Instant now) {
  const Consumer& spec = registry[registry[id].consumer].spec;
  if (!spec.split.empty()) return {};  // one of its devices may have more room than it can use
  for (const EvictionCandidate& candidate : eviction_candidates(registry, spec.device, now))
    if (candidate.yield_bytes > Bytes{})
      return "1: an AI model of unknown size is loaded while idle ones keep their memory";
  return {};
}

}  // namespace mgpu::sim
