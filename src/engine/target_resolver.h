// Resolves names in requests to consumers and residents. Creates the resident of an AI model that has none
// yet. Owns the name index and the sources of estimated footprints.
//
// AI models of one service that share weights (`ollama cp`, a Modelfile with FROM) are loaded once, under
// whichever name is asked for: they have one resident.
//
// Thread rule: the strand.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/live_config.h"
#include "engine/core_loop.h"
#include "engine/engine.h"
#include "engine/name_index.h"
#include "engine/timed_calls.h"

namespace mgpu::engine {

class TargetResolver {
 public:
  // The costs of an AI model that earlier starts of the daemon learned.
  using LearnedLookup = std::function<LearnedCosts(ConsumerId, const std::string& ai_model)>;

  // `device_memory`: sum over all devices. All references must outlive the resolver.
  TargetResolver(CoreLoop& loop, const config::LiveConfig& config, TimedCalls& timed_calls,
                 Bytes device_memory, std::map<ResidentId, std::string> estimated_from,
                 LearnedLookup previously_learned);

  const NameIndex& names() const { return names_; }
  void replace_listed(ConsumerId consumer, const std::vector<std::string>& ai_models) {
    names_.replace_listed(consumer, ai_models);
  }
  void replace_catalog(ConsumerId consumer, const std::vector<AiModelFacts>& ai_models);

  // Keeps the sizes of files that a service lists; gives them to residents about whose size nothing is known.
  void note_file_bytes(ConsumerId consumer, const std::vector<std::pair<std::string, Bytes>>& listed);

  // See Engine::resolve.
  Result<Target> resolve(std::string_view name);
  Result<Target> resolve(ConsumerId consumer, std::string_view ai_model);

  // `footprint` 0: estimated from the files of the AI model. Names that share weights have one resident.
  ResidentId find_or_add_resident(ConsumerId consumer, const std::string& ai_model, Bytes footprint);
  std::optional<ResidentId> find_resident(ConsumerId consumer, std::string_view ai_model) const;

  // The name with which the service is told to load or unload the resident: the one that was asked for last,
  // or another one that shares its weights, if that one is gone.
  // For its next load or eviction.
  std::string choose_service_name(ResidentId resident);
  // The name of its last load or eviction, or else that of the next one.
  std::string service_name(ResidentId resident) const;

  // The file that the footprint was estimated from, for display; empty if it was not estimated.
  std::string estimated_from(ResidentId resident) const;

 private:
  // 0 where the service does not list its size.
  Bytes estimate_from_file_bytes(ConsumerId consumer, const std::string& ai_model) const;

  CoreLoop& loop_;
  const config::LiveConfig& config_;
  TimedCalls& timed_calls_;
  const Bytes device_memory_;
  const LearnedLookup previously_learned_;
  std::string next_service_name(ResidentId resident) const;
  std::string weights_of(ResidentId resident) const;
  LearnedCosts learned(ConsumerId consumer, const std::string& ai_model) const;

  NameIndex names_;
  std::map<ResidentId, std::string> estimated_from_;
  std::map<ResidentId, std::string> weights_{};      // last known, also after its name is gone
  std::map<ResidentId, std::string> asked_names_{};  // the name of the last request for it
  std::map<ResidentId, std::string> told_names_{};   // that its service was told last
  std::map<ConsumerId, std::map<std::string, Bytes>> file_bytes_{};  // by NameIndex::key, as last listed
};

}  // namespace mgpu::engine
