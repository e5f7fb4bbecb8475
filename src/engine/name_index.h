// Maps names in requests to consumers and AI models. Owns the lists of AI models: those that services
// reported, and those that their files tell.
//
// Spellings that a service takes for the same AI model are the same here (service::name_key); the spelling of
// the configuration, else of the service, else of the files is the one that is shown and used.
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
#include "domain/ai_model_facts.h"
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
  void replace_listed(ConsumerId consumer, const std::vector<std::string>& ai_models);
  bool was_listed(ConsumerId consumer) const { return listings_.contains(consumer); }

  // Replaces the AI models that the consumer's files tell, within the same limits. They are known until the
  // service reports its own; from then on only their changes count.
  void replace_catalog(ConsumerId consumer, const std::vector<AiModelFacts>& ai_models);

  // Tries "consumer/ai-model" first, then consumers and aliases, then AI models in the order of the
  // configuration; then the same without ":latest", which clients of Ollama add. Error: not_found, with the
  // known names.
  Result<NamedTarget> find(std::string_view name) const;

  std::optional<ConsumerId> find_consumer(std::string_view name) const;  // or by alias

  // The spelling of an AI model that is known: configured, reported by the service, or told by its files.
  std::optional<std::string> known_spelling(ConsumerId consumer, std::string_view ai_model) const;

  // Whether the consumer may serve this AI model: it is known, or the service has listed none yet.
  bool may_offer(ConsumerId consumer, std::string_view ai_model) const;

  // All known ones, without duplicates: configured first, then in the order of the service or the files.
  std::vector<std::string> ai_models(ConsumerId consumer) const;

  // What files tell about it; null: nothing.
  const AiModelFacts* facts(ConsumerId consumer, std::string_view ai_model) const;

  // Identifies the weights of an AI model; empty: unknown.
  std::string weights(ConsumerId consumer, std::string_view ai_model) const;

  // The known AI models of the consumer with these weights. REQUIRES: `weights` is not empty.
  std::vector<std::string> sharing_names(ConsumerId consumer, std::string_view weights) const;

  std::string key(ConsumerId consumer, std::string_view ai_model) const;  // service::name_key

 private:
  // AI models by key, and their order.
  struct Listing {
    std::vector<std::string> names{};
    std::map<std::string, std::string, std::less<>> spellings{};  // by key
  };
  using Catalog = std::map<std::string, AiModelFacts, std::less<>>;  // by key

  void add(Listing& listing, ConsumerId consumer, const std::string& name) const;
  static void remove(Listing& listing, const std::string& key);
  std::optional<NamedTarget> find_exactly(std::string_view name) const;
  Error unknown_name_error(std::string_view name) const;
  std::vector<ConsumerId> configured() const;  // those in the current configuration

  const config::LiveConfig& config_;
  std::map<ConsumerId, Listing> listings_{};  // no entry: the service has not listed any yet
  std::map<ConsumerId, Catalog> catalogs_{};  // no entry: no file tells
  std::map<ConsumerId, Listing> in_files_{};  // the same AI models, in their order
};

}  // namespace mgpu::engine
