#include "config/live_config.h"

#include <utility>

#include "base/assert.h"

namespace mgpu::config {

LiveConfig::LiveConfig(Config first, IdTable ids) { replace(std::move(first), std::move(ids)); }

ConsumerSnapshot LiveConfig::consumer(ConsumerId id) const {
  MGPU_ASSERT(id.value < consumers_.size(), "a consumer's number comes from the table of ids");
  return consumers_[id.value];
}

void LiveConfig::replace(Config next, IdTable ids) {
  MGPU_ASSERT(ids.consumers.size() >= consumers_.size(), "a number that was given stays given");
  current_ = std::make_shared<const Config>(std::move(next));
  ids_ = std::move(ids);
  consumers_.resize(ids_.consumers.size());
  for (const ConsumerConfig& consumer : current_->consumers) {
    const auto id = find_id(ids_.consumers, consumer.name);
    MGPU_ASSERT(id.has_value(), "each consumer of a configuration has a number");
    consumers_[*id] = ConsumerSnapshot(current_, &consumer);
  }
}

}  // namespace mgpu::config
