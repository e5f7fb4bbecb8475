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

inline constexpr std::size_t kMostListed = 4096;  // AI models of one service

struct Named {
  ConsumerId consumer{};
  std::string ai_model{};  // empty: the consumer itself was named
};

class Targets {
 public:
  explicit Targets(const std::vector<config::ConsumerConfig>& consumers);

  // What a service said it offers; replaces what it said before. The first kMostListed of them count, and no
  // name that is longer than kLongestAiModel.
  void list(ConsumerId consumer, std::vector<std::string> ai_models);
  bool was_listed(ConsumerId consumer) const { return entries_[consumer.value].listed; }

  // "consumer/ai-model" first, then consumers and aliases, then AI models in the order of the configuration.
  // Error: not_found, naming the known ones.
  Result<Named> find(std::string_view name) const;

  std::optional<ConsumerId> consumer_named(std::string_view name) const;  // or by alias

  // Whether the configuration or the service names this (canonical) AI model.
  bool is_heard_of(ConsumerId consumer, std::string_view ai_model) const;

  // Whether it may ask this consumer for this (canonical) AI model: known, or the service was never heard.
  bool offers(ConsumerId consumer, std::string_view ai_model) const;

  // Of the configuration and listed, canonical, without doubles.
  std::vector<std::string> ai_models(ConsumerId consumer) const;

 private:
  struct JournalEntry {
    const config::ConsumerConfig* config = nullptr;
    bool listed = false;
    std::vector<std::string> from_service{};
  };
  Error unknown(std::string_view name) const;
  std::vector<JournalEntry> entries_;  // by ConsumerId
};

}  // namespace mgpu::engine
