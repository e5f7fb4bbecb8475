// Maps names in requests to consumers and AI models. Owns the lists of AI models that services reported.
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

inline constexpr std::size_t kMaxListedAiModels = 4096;  // per service

struct NamedTarget {
  ConsumerId consumer{};
  std::string ai_model{};  // empty: the name is the consumer's
};

class NameIndex {
 public:
  explicit NameIndex(const config::LiveConfig& config);  // which must outlive it

  // Replaces the AI models that a service reported. Keeps the first kMaxListedAiModels, and drops names
  // longer than kMaxAiModelLength.
  void replace_listed(ConsumerId consumer, std::vector<std::string> ai_models);
  bool was_listed(ConsumerId consumer) const { return listings_.contains(consumer); }

  // Tries "consumer/ai-model" first, then consumers and aliases, then AI models in the order of the
  // configuration. Error: not_found, with the known names.
  Result<NamedTarget> find(std::string_view name) const;

  std::optional<ConsumerId> find_consumer(std::string_view name) const;  // or by alias

  // Whether the configuration or the service lists this (canonical) AI model.
  bool is_known_ai_model(ConsumerId consumer, std::string_view ai_model) const;

  // Whether the consumer may serve this (canonical) AI model: it is known, or the service has listed none
  // yet.
  bool may_offer(ConsumerId consumer, std::string_view ai_model) const;

  // Configured and listed ones, canonical, without duplicates.
  std::vector<std::string> ai_models(ConsumerId consumer) const;

 private:
  using AiModels = std::vector<std::string>;
  Error unknown_name_error(std::string_view name) const;
  std::vector<ConsumerId> configured() const;  // those in the current configuration

  const config::LiveConfig& config_;
  std::map<ConsumerId, AiModels> listings_{};  // no entry: the service has not listed any yet
};

}  // namespace mgpu::engine
