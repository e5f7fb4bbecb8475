// Names that people use, turned into users, consumers and residents; a new AI model becomes a resident on the
// way.
#include <algorithm>

#include "base/sanitize.h"
#include "config/services.h"
#include "engine/engine_impl.h"
#include "engine/footprint_estimate.h"
#include "service/service.h"

namespace mgpu::engine {
namespace {

// Whoever asks for names that nobody has ever heard must not make the world grow for ever.
// Those that its configuration or its service names don't count.
constexpr std::ptrdiff_t kMaxUnknownAiModels = 256;

}  // namespace

Result<Target> Engine::resolve(std::string_view name) {
  const auto named = impl_->name_index.find(name);
  if (!named) return std::unexpected(named.error());
  return impl_->resolve_target(named->consumer, named->ai_model);
}

Result<Target> Engine::resolve(ConsumerId consumer, std::string_view ai_model) {
  return impl_->resolve_target(consumer, std::string(ai_model));
}

std::optional<ConsumerId> Engine::find_consumer(std::string_view name) const {
  return impl_->name_index.find_consumer(name);
}

std::optional<DeviceId> Engine::find_device(std::string_view name) const {
  const auto& known = impl_->world.registry.devices;
  const auto found = std::ranges::find(known, name, &Device::name);
  if (found == known.end()) return std::nullopt;
  return DeviceId{static_cast<std::uint64_t>(found - known.begin())};
}

std::vector<std::string> Engine::ai_models(ConsumerId consumer) const {
  return impl_->name_index.ai_models(consumer);
}

std::uint32_t Engine::user_number(std::string_view name, std::string_view api_key) {
  const config::UserSource by = impl_->config.users;
  const bool by_header = by == config::UserSource::header || by == config::UserSource::header_or_key;
  const bool by_key = by == config::UserSource::key || by == config::UserSource::header_or_key;
  if (by_header && !name.empty())
    return impl_->user_table.number_by_name(sanitize_text(name, kMaxUserLength));
  if (by_key && !api_key.empty()) return impl_->user_table.number_by_key(api_key);
  return 0;
}

std::string Engine::user_label(std::uint32_t number) const { return impl_->user_table.label(number); }

Result<Target> Engine::Impl::resolve_target(ConsumerId consumer, const std::string& requested) {
  const ConsumerState& state = world.registry[consumer];
  const config::ConsumerConfig& consumer_config = consumers[consumer.value];
  if (state.spec.lease_only) return Target{.consumer = consumer};
  if (!has_several_ai_models(consumer_config.service)) return Target{consumer, state.residents.front()};

  if (requested.empty()) {
    if (state.residents.size() == 1) return Target{consumer, state.residents.front()};
    return fail(ErrorCode::not_found, consumer_config.name +
                                          " serves several AI models: say which, as in \"" +
                                          consumer_config.name + "/some-model\"");
  }
  if (requested.size() > kMaxAiModelLength)
    return fail(ErrorCode::not_found, consumer_config.name + " has no AI model \"" +
                                          sanitize_text(requested, 40) + "...\": no name is longer than " +
                                          std::to_string(kMaxAiModelLength));
  const std::string ai_model = service::canonical_name(consumer_config.service.type, requested);
  const bool known = std::ranges::any_of(
      state.residents, [&](ResidentId id) { return world.registry[id].ai_model == ai_model; });
  if (!known && !name_index.may_offer(consumer, ai_model))
    return fail(ErrorCode::not_found, consumer_config.name + " has no AI model \"" +
                                          sanitize_text(ai_model, kMaxAiModelLength) + "\"");
  const auto is_unknown = [&](ResidentId id) {
    return !name_index.is_known_ai_model(consumer, world.registry[id].ai_model);
  };
  if (!known && !name_index.is_known_ai_model(consumer, ai_model) &&
      std::ranges::count_if(state.residents, is_unknown) >= kMaxUnknownAiModels)
    return fail(ErrorCode::not_found,
                consumer_config.name + " is asked for more AI models than can be kept track of");
  return Target{consumer, find_or_add_resident(consumer, ai_model, consumer_config.footprint)};
}

ResidentId Engine::Impl::find_or_add_resident(ConsumerId consumer, const std::string& ai_model,
                                              Bytes footprint) {
  for (const ResidentId id : world.registry[consumer].residents)
    if (world.registry[id].ai_model == ai_model) return id;
  // Asked for in the middle of a step, it may be on its way to the core: ids are given out in order.
  ResidentId next{world.registry.residents.size()};
  for (const EventPayload& waiting : pending_events) {
    const auto* added = std::get_if<ResidentAdded>(&waiting);
    if (added == nullptr) continue;
    if (added->consumer == consumer && added->ai_model == ai_model) return added->resident;
    ++next.value;
  }
  if (footprint == Bytes{}) {
    const auto estimated =
        estimate_footprint_within(timed_calls, kWeightsLookupTimeout, consumers[consumer.value], ai_model,
                                  total_device_memory(devices))
            .value_or(FootprintEstimate{});
    footprint = estimated.bytes;
    if (footprint > Bytes{}) estimated_from[next] = estimated.source_file;
  }
  dispatch_event(ResidentAdded{.resident = next,
                               .consumer = consumer,
                               .ai_model = ai_model,
                               .footprint = footprint,
                               .costs = recorder.previously_learned(consumer, ai_model)});
  return next;
}

}  // namespace mgpu::engine
