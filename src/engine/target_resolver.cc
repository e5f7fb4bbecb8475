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

constexpr const char* kFromFileBytes = "the size of its files, which its service lists";

constexpr std::size_t kShownNameLength = 40;  // bytes of a too long name quoted in its error

// Whether it is or was lately in memory, so that its state counts.
bool is_present(const Resident& resident) {
  return resident.state != Residency::cold && resident.state != Residency::failed;
}

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
  if (!has_several_ai_models(config->service))
    return Target{.consumer = consumer, .resident = state.residents.front()};

  if (requested.empty()) {
    if (state.residents.size() == 1) return Target{.consumer = consumer, .resident = state.residents.front()};
    return fail(ErrorCode::not_found, config->name + " serves several AI models: say which, as in \"" +
                                          config->name + "/some-model\"");
  }
  if (requested.size() > kMaxAiModelLength)
    return fail(ErrorCode::not_found,
                config->name + " has no AI model \"" + sanitize_text(requested, kShownNameLength) +
                    "...\": no name is longer than " + std::to_string(kMaxAiModelLength));
  const std::optional<std::string> known = names_.known_spelling(consumer, requested);
  const std::string ai_model = known.value_or(service::canonical_name(config->service.type, requested));
  const std::optional<ResidentId> present = find_resident(consumer, ai_model);
  const bool was_removed = config::service_traits(config->service.type).lists_all && !known;
  if ((!present || was_removed) && !names_.may_offer(consumer, ai_model))
    return fail(ErrorCode::not_found,
                config->name + " has no AI model \"" + sanitize_text(ai_model, kMaxAiModelLength) + "\"");
  const auto is_unknown = [&](ResidentId id) {
    return !names_.known_spelling(consumer, registry[id].ai_model);
  };
  if (!present && !known && std::ranges::count_if(state.residents, is_unknown) >= kMaxUnknownAiModels)
    return fail(ErrorCode::not_found,
                config->name + " is asked for more AI models than can be kept track of");
  const ResidentId resident =
      present ? *present : find_or_add_resident(consumer, ai_model, config->footprint);
  asked_names_[resident] = ai_model;
  return Target{.consumer = consumer, .resident = resident, .ai_model = ai_model};
}

std::string TargetResolver::weights_of(ResidentId resident) const {
  const auto found = weights_.find(resident);
  return found == weights_.end() ? "" : found->second;
}

void TargetResolver::replace_catalog(ConsumerId consumer, const std::vector<AiModelFacts>& ai_models) {
  names_.replace_catalog(consumer, ai_models);
  const Registry& registry = loop_.world().registry;
  for (const ResidentId resident : registry[consumer].residents) {
    std::string weights = names_.weights(consumer, registry[resident].ai_model);
    if (!weights.empty()) weights_[resident] = std::move(weights);
  }
}

// Where two residents were made before it was known that they share weights (both are configured), the one
// that is in memory counts, else the first.
std::optional<ResidentId> TargetResolver::find_resident(ConsumerId consumer,
                                                        std::string_view ai_model) const {
  const Registry& registry = loop_.world().registry;
  const std::string key = names_.key(consumer, ai_model);
  const std::string weights = names_.weights(consumer, ai_model);
  std::optional<ResidentId> found;
  for (const ResidentId id : registry[consumer].residents) {
    const bool shares = !weights.empty() && weights_of(id) == weights;
    if (!shares && names_.key(consumer, registry[id].ai_model) != key) continue;
    if (!found || (!is_present(registry[*found]) && is_present(registry[id]))) found = id;
  }
  return found;
}

ResidentId TargetResolver::find_or_add_resident(ConsumerId consumer, const std::string& ai_model,
                                                Bytes footprint) {
  if (const auto found = find_resident(consumer, ai_model)) return *found;
  // During a step the new resident may not have reached the core yet: ids are assigned in order.
  const Registry& registry = loop_.world().registry;
  const std::string weights = names_.weights(consumer, ai_model);
  ResidentId next{registry.residents.size()};
  for (const EventPayload& pending : loop_.pending_events()) {
    const auto* added = std::get_if<ResidentAdded>(&pending);
    if (added == nullptr) continue;
    const bool shares = !weights.empty() && weights_of(added->resident) == weights;
    const bool is_same = names_.key(consumer, added->ai_model) == names_.key(consumer, ai_model);
    if (added->consumer == consumer && (shares || is_same)) return added->resident;
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
  if (footprint == Bytes{}) {
    footprint = estimate_from_file_bytes(consumer, ai_model);
    if (footprint > Bytes{}) estimated_from_[next] = kFromFileBytes;
  }
  if (!weights.empty()) weights_[next] = weights;
  loop_.dispatch(
      ResidentAdded{.resident = next,
                    .consumer = consumer,
                    .ai_model = service::canonical_name(config_.consumer(consumer)->service.type, ai_model),
                    .footprint = footprint,
                    .costs = learned(consumer, ai_model)});
  return next;
}

// What was learned under another name of the same weights counts as well.
LearnedCosts TargetResolver::learned(ConsumerId consumer, const std::string& ai_model) const {
  LearnedCosts own = previously_learned_(consumer, ai_model);
  const std::string weights = names_.weights(consumer, ai_model);
  if (own != LearnedCosts{} || weights.empty()) return own;
  for (const std::string& name : names_.sharing_names(consumer, weights))
    if (LearnedCosts other = previously_learned_(consumer, name); other != LearnedCosts{}) return other;
  return own;
}

std::string TargetResolver::choose_service_name(ResidentId resident) {
  return told_names_[resident] = next_service_name(resident);
}

std::string TargetResolver::service_name(ResidentId resident) const {
  const auto told = told_names_.find(resident);
  return told == told_names_.end() ? next_service_name(resident) : told->second;
}

std::string TargetResolver::next_service_name(ResidentId resident) const {
  const Resident& state = loop_.world().registry[resident];
  const auto exists = [&](const std::string& name) {
    return !names_.was_listed(state.consumer) || names_.known_spelling(state.consumer, name).has_value();
  };
  if (const auto asked = asked_names_.find(resident); asked != asked_names_.end() && exists(asked->second))
    return asked->second;
  if (exists(state.ai_model)) return state.ai_model;
  const std::string weights = weights_of(resident);
  if (weights.empty()) return state.ai_model;
  for (const std::string& name : names_.sharing_names(state.consumer, weights))
    if (exists(name)) return name;
  return state.ai_model;
}

void TargetResolver::note_file_bytes(ConsumerId consumer,
                                     const std::vector<std::pair<std::string, Bytes>>& listed) {
  std::map<std::string, Bytes>& sizes = file_bytes_[consumer];
  sizes.clear();
  for (const auto& [name, bytes] : listed)
    if (sizes.size() < kMaxListedAiModels && name.size() <= kMaxAiModelLength)
      sizes.emplace(names_.key(consumer, name), bytes);
  const Registry& registry = loop_.world().registry;
  for (const ResidentId id : registry[consumer].residents) {
    if (!is_size_unknown(registry[id])) continue;
    const Bytes estimate = estimate_from_file_bytes(consumer, registry[id].ai_model);
    if (estimate == Bytes{}) continue;
    estimated_from_[id] = kFromFileBytes;
    loop_.dispatch(SizeReported{.resident = id, .bytes = estimate, .is_estimate = true});
  }
}

Bytes TargetResolver::estimate_from_file_bytes(ConsumerId consumer, const std::string& ai_model) const {
  const auto sizes = file_bytes_.find(consumer);
  if (sizes == file_bytes_.end()) return {};
  const auto found = sizes->second.find(names_.key(consumer, ai_model));
  return found == sizes->second.end() ? Bytes{} : estimate_from_size(found->second);
}

std::string TargetResolver::estimated_from(ResidentId resident) const {
  const auto found = estimated_from_.find(resident);
  return found == estimated_from_.end() ? "" : found->second;
}

}  // namespace mgpu::engine
