// Names that people use, turned into users, consumers and residents; a new AI model becomes a resident on the
// way.
#include <algorithm>

#include "base/sanitize.h"
#include "config/services.h"
#include "engine/estimates.h"
#include "engine/impl.h"
#include "service/service.h"

namespace mgpu::engine {
namespace {

// Whoever asks for names that nobody has ever heard must not make the world grow for ever.
// Those that its configuration or its service names don't count.
constexpr std::ptrdiff_t kUnheardPerConsumer = 256;

}  // namespace

Result<Target> Engine::resolve(std::string_view name) {
  const auto named = impl_->targets.find(name);
  if (!named) return std::unexpected(named.error());
  return impl_->target(named->consumer, named->ai_model);
}

Result<Target> Engine::resolve(ConsumerId consumer, std::string_view ai_model) {
  return impl_->target(consumer, std::string(ai_model));
}

std::optional<ConsumerId> Engine::consumer_named(std::string_view name) const {
  return impl_->targets.consumer_named(name);
}

std::optional<DeviceId> Engine::device_named(std::string_view name) const {
  const auto& known = impl_->world.registry.devices;
  const auto found = std::ranges::find(known, name, &Device::name);
  if (found == known.end()) return std::nullopt;
  return DeviceId{static_cast<std::uint64_t>(found - known.begin())};
}

std::vector<std::string> Engine::ai_models(ConsumerId consumer) const {
  return impl_->targets.ai_models(consumer);
}

std::uint32_t Engine::user_of(std::string_view name, std::string_view api_key) {
  const config::UserSource by = impl_->config.users;
  const bool by_header = by == config::UserSource::header || by == config::UserSource::header_or_key;
  const bool by_key = by == config::UserSource::key || by == config::UserSource::header_or_key;
  if (by_header && !name.empty()) return impl_->users.named(sanitize_text(name, kLongestUser));
  if (by_key && !api_key.empty()) return impl_->users.with_key(api_key);
  return 0;
}

std::string Engine::user_shown(std::uint32_t number) const { return impl_->users.shown(number); }

Result<Target> Engine::Impl::target(ConsumerId consumer, const std::string& asked) {
  const ConsumerState& state = world.registry[consumer];
  const config::ConsumerConfig& description = consumers[consumer.value];
  if (state.spec.lease_only) return Target{.consumer = consumer};
  if (!has_several_ai_models(description.service)) return Target{consumer, state.residents.front()};

  if (asked.empty()) {
    if (state.residents.size() == 1) return Target{consumer, state.residents.front()};
    return fail(ErrorCode::not_found, description.name + " serves several AI models: say which, as in \"" +
                                          description.name + "/some-model\"");
  }
  if (asked.size() > kLongestAiModel)
    return fail(ErrorCode::not_found, description.name + " has no AI model \"" + sanitize_text(asked, 40) +
                                          "...\": no name is longer than " + std::to_string(kLongestAiModel));
  const std::string ai_model = service::canonical_name(description.service.type, asked);
  const bool known = std::ranges::any_of(
      state.residents, [&](ResidentId id) { return world.registry[id].ai_model == ai_model; });
  if (!known && !targets.offers(consumer, ai_model))
    return fail(ErrorCode::not_found,
                description.name + " has no AI model \"" + sanitize_text(ai_model, kLongestAiModel) + "\"");
  const auto unheard = [&](ResidentId id) {
    return !targets.is_heard_of(consumer, world.registry[id].ai_model);
  };
  if (!known && !targets.is_heard_of(consumer, ai_model) &&
      std::ranges::count_if(state.residents, unheard) >= kUnheardPerConsumer)
    return fail(ErrorCode::not_found,
                description.name + " is asked for more AI models than can be kept track of");
  return Target{consumer, resident_named(consumer, ai_model, description.footprint)};
}

ResidentId Engine::Impl::resident_named(ConsumerId consumer, const std::string& ai_model, Bytes footprint) {
  for (const ResidentId id : world.registry[consumer].residents)
    if (world.registry[id].ai_model == ai_model) return id;
  // Asked for in the middle of a step, it may be on its way to the core: ids are given out in order.
  ResidentId next{world.registry.residents.size()};
  for (const EventPayload& waiting : pending) {
    const auto* added = std::get_if<ResidentAdded>(&waiting);
    if (added == nullptr) continue;
    if (added->consumer == consumer && added->ai_model == ai_model) return added->resident;
    ++next.value;
  }
  if (footprint == Bytes{}) {
    const auto estimated = estimated_in_time(timed_calls, kLookAtWeights, consumers[consumer.value], ai_model,
                                             memory_of_all(devices))
                               .value_or(Estimate{});
    footprint = estimated.bytes;
    if (footprint > Bytes{}) estimated_from[next] = estimated.from;
  }
  feed(ResidentAdded{.resident = next,
                     .consumer = consumer,
                     .ai_model = ai_model,
                     .footprint = footprint,
                     .costs = records.recalled(consumer, ai_model)});
  return next;
}

}  // namespace mgpu::engine
