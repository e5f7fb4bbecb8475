#include "gateway/engine_api.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "config/services.h"

namespace mgpu::gateway {
namespace {

TicketRequest make_ask(engine::Engine& engine, engine::Target target, const QueueOptions& options) {
  return {.device = engine.world().registry[target.consumer].spec.device,
          .consumer = target.consumer,
          .resident = target.resident,
          .wait_limit = options.wait_limit,
          .is_warm_up = options.is_load,
          .priority = options.priority,
          .user = engine.user_of(options.principal),
          .deadline = options.deadline};
}

LeaseHandle make_lease_handle(engine::Engine& engine, std::shared_ptr<engine::Lease> lease);

Awaitable<Result<LeaseHandle>> reacquire(engine::Engine& engine, std::shared_ptr<engine::Lease> lease) {
  const Result<void> reacquired = co_await engine.reacquire(*lease);
  if (!reacquired) co_return std::unexpected(reacquired.error());
  co_return make_lease_handle(engine, std::move(lease));
}

LeaseHandle make_lease_handle(engine::Engine& engine, std::shared_ptr<engine::Lease> lease) {
  return {.ticket = lease->ticket().value,
          .waited = lease->waited(),
          .loading = lease->loading(),
          .guard = lease,
          .on_ended = [lease = lease.get()](auto listener) { lease->on_ended(std::move(listener)); },
          .reacquire = [&engine, lease] { return reacquire(engine, lease); }};
}

Awaitable<Result<LeaseHandle>> acquire(engine::Engine& engine, engine::Target target, QueueOptions options) {
  TicketRequest ask = make_ask(engine, target, options);
  engine::Holder holder{.who = std::move(options.requested_by), .principal = std::move(options.principal)};
  Result<engine::Lease> lease = co_await engine.acquire(ask, std::move(holder));
  if (!lease) co_return std::unexpected(lease.error());
  co_return make_lease_handle(engine, std::make_shared<engine::Lease>(std::move(*lease)));
}

bool is_warm(const Resident& resident) { return resident.state == Residency::warm; }

// Unix time of its eviction if it stays idle; 0: never.
std::int64_t expires_ms(const engine::Engine& engine, const Resident& resident) {
  const auto limit = idle_limit(engine.world().registry, resident);
  if (!limit) return 0;
  const Instant idle_since = resident.use_count > 0 ? engine.now() : resident.last_used;
  const auto at = engine.wall_time(std::max(idle_since, resident.transition_at) + *limit);
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

ListedModel listed_resident(const engine::Engine& engine, const std::string& name, ResidentId id) {
  const Resident& resident = engine.world().registry[id];
  return {.id = name,
          .footprint = resident.footprint,
          .warm = is_warm(resident),
          .expires_ms = is_warm(resident) ? expires_ms(engine, resident) : 0};
}

// The names of one consumer.
std::vector<ListedModel> list_models(const engine::Engine& engine, ConsumerId consumer) {
  std::vector<ListedModel> listed;
  const ConsumerState& state = engine.world().registry[consumer];
  // If there are several AI models, the consumer's own name does not select one.
  const config::ConsumerSnapshot config = engine.config_of(consumer);
  const bool has_several = has_several_ai_models(config->service);
  if (!has_several) {
    listed.push_back(listed_resident(engine, state.spec.name, state.residents.front()));
    for (const std::string& alias : config->aliases) {
      listed.push_back(listed_resident(engine, alias, state.residents.front()));
      listed.back().is_alias = true;
    }
  }
  for (const std::string& ai_model : engine.ai_models(consumer)) {
    const auto resident =
        has_several ? engine.find_resident(consumer, ai_model) : std::optional(state.residents.front());
    listed.push_back(resident ? listed_resident(engine, ai_model, *resident) : ListedModel{.id = ai_model});
    if (const AiModelFacts* facts = engine.ai_model_facts(consumer, ai_model)) listed.back().facts = *facts;
  }
  for (ListedModel& one : listed) {
    one.owner = state.spec.name;
    if (one.footprint == Bytes{}) one.footprint = state.spec.footprint;
  }
  return listed;
}

std::vector<ListedModel> list_models(const engine::Engine& engine) {
  std::vector<ListedModel> listed;
  std::set<std::string> seen;  // a name stands for what it resolves to, which is the first
  const Registry& registry = engine.world().registry;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    if (registry[ConsumerId{i}].spec.lease_only) continue;
    for (ListedModel& one : list_models(engine, ConsumerId{i}))
      if (seen.insert(one.id).second) listed.push_back(std::move(one));
  }
  return listed;
}

}  // namespace

EngineApi make_engine_api(engine::Engine& engine) {
  return {
      .resolve = [&engine](std::string_view name) { return engine.resolve(name); },
      .resolve_within = [&engine](ConsumerId id, std::string_view name) { return engine.resolve(id, name); },
      .find_consumer = [&engine](std::string_view name) { return engine.find_consumer(name); },
      .config = [&engine] { return engine.config(); },
      .config_of = [&engine](ConsumerId id) { return engine.config_of(id); },
      .ai_model_of =
          [&engine](engine::Target target) {
            const Registry& registry = engine.world().registry;
            if (!target.ai_model.empty()) return target.ai_model;
            if (!target.resident || target.resident->value >= registry.residents.size()) return std::string{};
            return registry[*target.resident].ai_model;
          },
      .endpoint = [&engine](ConsumerId id) { return engine.endpoint(id); },
      .acquire = [&engine](engine::Target target,
                           QueueOptions options) { return acquire(engine, target, std::move(options)); },
      .is_busy = [&engine](ConsumerId id) { return engine.is_busy(id); },
      .report_suspect = [&engine](ConsumerId id,
                                  std::string why) { engine.report_suspect(id, std::move(why)); },
      .is_warm =
          [&engine](engine::Target target) {
            const Registry& registry = engine.world().registry;
            return target.resident && target.resident->value < registry.residents.size() &&
                   is_warm(registry[*target.resident]);
          },
      .ensure_up = [&engine](ConsumerId id) { return engine.ensure_up(id); },
      .unload = [&engine](engine::Target target,
                          engine::UnloadWait wait) { return engine.unload(*target.resident, wait); },
      .set_keep_alive = [&engine](engine::Target target,
                                  Duration time) { engine.set_keep_alive(*target.resident, time); },
      .refresh_ai_models = [&engine](ConsumerId id) { return engine.refresh_ai_models(id); },
      .refresh_all_ai_models = [&engine] { return engine.refresh_all_ai_models(); },
      .count_retry = [&engine] { engine.count_oom_retry(); },
      .list_models = [&engine] { return list_models(engine); },
  };
}

}  // namespace mgpu::gateway
