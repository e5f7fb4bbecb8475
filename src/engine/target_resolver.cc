#include "engine/target_resolver.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/sanitize.h"
#include "config/services.h"
#include "engine/footprint_estimate.h"
#include "engine/weights.h"
#include "service/service.h"

namespace mgpu::engine {
namespace {

// Requests with ever new names must not let the world grow without bound. Names from the configuration or
// from the service are not counted.
constexpr std::ptrdiff_t kMaxUnknownAiModels = 256;

constexpr std::size_t kShownNameLength = 40;  // bytes of a too long name quoted in its error

}  // namespace

TargetResolver::TargetResolver(CoreLoop& loop, const config::LiveConfig& config, TimedCalls& timed_calls,
                               Bytes device_memory, std::map<ResidentId, std::string> estimated_from,
                               LearnedLookup previously_learned)
    : loop_(loop),
      config_(config),
      timed_calls_(timed_calls),
      device_memory_(device_memory),
      previously_learned_(std::move(previously_learned)),
      names_(config),
      estimated_from_(std::move(estimated_from)) {}

Result<Target> TargetResolver::resolve(std::string_view name) {
  const auto named = names_.find(name);
  if (!named) return std::unexpected(named.error());
  return resolve(named->consumer, named->ai_model);
}

Result<Target> TargetResolver::resolve(ConsumerId consumer, std::string_view requested) {
  const Registry& registry = loop_.world().registry;
  const ConsumerState& state = registry[consumer];
  const config::ConsumerSnapshot config = config_.consumer(consumer);
  if (state.spec.lease_only) return Target{.consumer = consumer};
  if (!has_several_ai_models(config->service)) return Target{consumer, state.residents.front()};

  if (requested.empty()) {
    if (state.residents.size() == 1) return Target{consumer, state.residents.front()};
    return fail(ErrorCode::not_found, config->name + " serves several AI models: say which, as in \"" +
                                          config->name + "/some-model\"");
  }
  if (requested.size() > kMaxAiModelLength)
    return fail(ErrorCode::not_found,
                config->name + " has no AI model \"" + sanitize_text(requested, kShownNameLength) +
                    "...\": no name is longer than " + std::to_string(kMaxAiModelLength));
  const std::string ai_model = service::canonical_name(config->service.type, requested);
  const bool is_resident =
      std::ranges::any_of(state.residents, [&](ResidentId id) { return registry[id].ai_model == ai_model; });
  if (!is_resident && !names_.may_offer(consumer, ai_model))
    return fail(ErrorCode::not_found,
                config->name + " has no AI model \"" + sanitize_text(ai_model, kMaxAiModelLength) + "\"");
  const auto is_unknown = [&](ResidentId id) {
    return !names_.is_known_ai_model(consumer, registry[id].ai_model);
  };
  if (!is_resident && !names_.is_known_ai_model(consumer, ai_model) &&
      std::ranges::count_if(state.residents, is_unknown) >= kMaxUnknownAiModels)
    return fail(ErrorCode::not_found,
                config->name + " is asked for more AI models than can be kept track of");
  return Target{consumer, find_or_add_resident(consumer, ai_model, config->footprint)};
}

ResidentId TargetResolver::find_or_add_resident(ConsumerId consumer, const std::string& ai_model,
                                                Bytes footprint) {
  const Registry& registry = loop_.world().registry;
  for (const ResidentId id : registry[consumer].residents)
    if (registry[id].ai_model == ai_model) return id;
  // During a step the new resident may not have reached the core yet: ids are assigned in order.
  ResidentId next{registry.residents.size()};
  for (const EventPayload& pending : loop_.pending_events()) {
    const auto* added = std::get_if<ResidentAdded>(&pending);
    if (added == nullptr) continue;
    if (added->consumer == consumer && added->ai_model == ai_model) return added->resident;
    ++next.value;
  }
  if (footprint == Bytes{}) {
    const config::ConsumerSnapshot config = config_.consumer(consumer);
    const auto estimated =
        estimate_footprint_within(timed_calls_, kWeightsLookupTimeout, *config, ai_model, device_memory_)
            .value_or(FootprintEstimate{});
    footprint = estimated.bytes;
    if (footprint > Bytes{}) estimated_from_[next] = estimated.source_file;
  }
  loop_.dispatch(ResidentAdded{.resident = next,
                               .consumer = consumer,
                               .ai_model = ai_model,
                               .footprint = footprint,
                               .costs = previously_learned_(consumer, ai_model)});
  return next;
}

std::string TargetResolver::estimated_from(ResidentId resident) const {
  const auto found = estimated_from_.find(resident);
  return found == estimated_from_.end() ? "" : found->second;
}

}  // namespace mgpu::engine
