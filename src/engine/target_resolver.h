// From the names that requests give to consumers and residents. An AI model that nothing is known of yet
// becomes a resident on the way. Owns the index of names, and which footprints were estimated from which
// file.
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
  // What earlier lives learned of an AI model.
  using LearnedLookup = std::function<LearnedCosts(ConsumerId, const std::string& ai_model)>;

  // `device_memory`: of all devices together. All references must outlive it.
  TargetResolver(CoreLoop& loop, const config::LiveConfig& config, TimedCalls& timed_calls,
                 Bytes device_memory, std::map<ResidentId, std::string> estimated_from,
                 LearnedLookup previously_learned);

  const NameIndex& names() const { return names_; }
  void replace_listed(ConsumerId consumer, std::vector<std::string> ai_models) {
    names_.replace_listed(consumer, std::move(ai_models));
  }

  // As Engine::resolve says.
  Result<Target> resolve(std::string_view name);
  Result<Target> resolve(ConsumerId consumer, std::string_view ai_model);

  // `footprint` 0: it is estimated from the files of the AI model. REQUIRES: `ai_model` is canonical.
  ResidentId find_or_add_resident(ConsumerId consumer, const std::string& ai_model, Bytes footprint);

  // The file that its footprint was estimated from, for people; empty: it was not.
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
