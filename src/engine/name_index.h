// The names under which consumers and their AI models are asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "domain/consumer.h"
#include "sched/world.h"

namespace mgpu::engine {

inline constexpr std::size_t kMaxListedAiModels = 4096;  // AI models of one service

struct NamedTarget {
  ConsumerId consumer{};
  std::string ai_model{};  // empty: the consumer itself was named
};

class NameIndex {
 public:
  explicit NameIndex(const std::vector<config::ConsumerConfig>& consumers);

  // What a service said it offers; replaces what it said before. The first kMaxListedAiModels of them count,
  // and no name that is longer than kMaxAiModelLength.
  void replace_listed(ConsumerId consumer, std::vector<std::string> ai_models);
  bool was_listed(ConsumerId consumer) const { return entries_[consumer.value].listed; }

  // "consumer/ai-model" first, then consumers and aliases, then AI models in the order of the configuration.
  // Error: not_found, naming the known ones.
  Result<NamedTarget> find(std::string_view name) const;

  std::optional<ConsumerId> find_consumer(std::string_view name) const;  // or by alias

  // Whether the configuration or the service names this (canonical) AI model.
  bool is_known_ai_model(ConsumerId consumer, std::string_view ai_model) const;

  // Whether it may ask this consumer for this (canonical) AI model: known, or the service was never heard.
  bool may_offer(ConsumerId consumer, std::string_view ai_model) const;

  // Of the configuration and listed, canonical, without doubles.
  std::vector<std::string> ai_models(ConsumerId consumer) const;

 private:
  struct ConsumerNames {
    const config::ConsumerConfig* config = nullptr;
    bool listed = false;
    std::vector<std::string> listed_ai_models{};
  };
  Error unknown_name_error(std::string_view name) const;
  std::vector<ConsumerNames> entries_;  // by ConsumerId
};

}  // namespace mgpu::engine
