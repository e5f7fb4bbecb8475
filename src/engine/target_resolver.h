// Resolves names in requests to consumers and residents. Creates the resident of an AI model that has none
// yet. Owns the name index and the sources of estimated footprints.
//
// Thread rule: the strand.
#pragma once

#include <functional>
#include <map>
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
  void replace_listed(ConsumerId consumer, std::vector<std::string> ai_models) {
    names_.replace_listed(consumer, std::move(ai_models));
  }

  // See Engine::resolve.
  Result<Target> resolve(std::string_view name);
  Result<Target> resolve(ConsumerId consumer, std::string_view ai_model);

  // `footprint` 0: estimated from the files of the AI model. REQUIRES: `ai_model` is canonical.
  ResidentId find_or_add_resident(ConsumerId consumer, const std::string& ai_model, Bytes footprint);

  // The file that the footprint was estimated from, for display; empty if it was not estimated.
  std::string estimated_from(ResidentId resident) const;

 private:
  CoreLoop& loop_;
  const config::LiveConfig& config_;
  TimedCalls& timed_calls_;
  const Bytes device_memory_;
  const LearnedLookup previously_learned_;
  NameIndex names_;
  std::map<ResidentId, std::string> estimated_from_;
};

}  // namespace mgpu::engine
