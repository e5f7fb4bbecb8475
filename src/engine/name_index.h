// The names under which consumers and their AI models are asked for. Owns the lists of AI models that the
// services gave.
//
// Thread rule: the strand.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/live_config.h"
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
  explicit NameIndex(const config::LiveConfig& config);  // which must outlive it

  // What a service said it offers; replaces what it said before. The first kMaxListedAiModels of them count,
  // and no name that is longer than kMaxAiModelLength.
  void replace_listed(ConsumerId consumer, std::vector<std::string> ai_models);
  bool was_listed(ConsumerId consumer) const { return listings_.contains(consumer); }

  // "consumer/ai-model" first, then consumers and aliases, then AI models in the order of the configuration.
  // Error: not_found, naming the known ones.
  Result<NamedTarget> find(std::string_view name) const;

  std::optional<ConsumerId> find_consumer(std::string_view name) const;  // or by alias

  // Whether the configuration or the service names this (canonical) AI model.
  bool is_known_ai_model(ConsumerId consumer, std::string_view ai_model) const;

  // Whether the consumer may have this (canonical) AI model: it is known, or the service listed none yet.
  bool may_offer(ConsumerId consumer, std::string_view ai_model) const;

  // Of the configuration and listed, canonical, without doubles.
  std::vector<std::string> ai_models(ConsumerId consumer) const;

 private:
  using AiModels = std::vector<std::string>;
  Error unknown_name_error(std::string_view name) const;
  std::vector<ConsumerId> configured() const;  // those that the present configuration has

  const config::LiveConfig& config_;
  std::map<ConsumerId, AiModels> listings_{};  // none: its service has not listed any yet
};

}  // namespace mgpu::engine
