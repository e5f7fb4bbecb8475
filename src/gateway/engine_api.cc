#include "gateway/engine_api.h"

#include <algorithm>
#include <set>

namespace mgpu::gateway {
namespace {

TicketRequest make_ask(engine::Engine& engine, engine::Target target, const QueueOptions& options) {
  return {.device = engine.world().registry[target.consumer].spec.device,
          .consumer = target.consumer,
          .resident = target.resident,
          .wait_limit = options.wait_limit,
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

std::vector<ListedModel> list_models(const engine::Engine& engine) {
  std::vector<ListedModel> listed;
  std::set<std::string> seen;
  const Registry& registry = engine.world().registry;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    ConsumerId id{i};
    const ConsumerState& state = registry[id];
    if (state.spec.lease_only) continue;
    auto find_resident = [&](std::string_view ai_model) {
      return std::ranges::find_if(state.residents,
                                  [&](ResidentId r) { return registry[r].ai_model == ai_model; });
    };
    bool any_warm = std::ranges::any_of(state.residents, [&](ResidentId r) { return is_warm(registry[r]); });
    auto add = [&](const std::string& name, bool warm) {
      if (seen.insert(name).second) listed.push_back({name, state.spec.name, state.spec.footprint, warm});
    };
    // If there are several AI models, the consumer's own name does not select one.
    const bool one_ai_model = find_resident("") != state.residents.end();
    if (one_ai_model) {
      add(state.spec.name, any_warm);
      const config::ConsumerSnapshot config = engine.config_of(id);
      for (const std::string& alias : config->aliases) add(alias, any_warm);
    }
    for (const std::string& ai_model : engine.ai_models(id)) {
      auto resident = find_resident(ai_model);
      add(ai_model, resident == state.residents.end() ? any_warm && state.residents.size() == 1
                                                      : is_warm(registry[*resident]));
    }
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
            if (!target.resident || target.resident->value >= registry.residents.size()) return std::string{};
            return registry[*target.resident].ai_model;
          },
      .endpoint = [&engine](ConsumerId id) { return engine.endpoint(id); },
      .acquire = [&engine](engine::Target target,
                           QueueOptions options) { return acquire(engine, target, std::move(options)); },
      .is_busy = [&engine](ConsumerId id) { return engine.is_busy(id); },
      .report_suspect = [&engine](ConsumerId id,
                                  std::string why) { engine.report_suspect(id, std::move(why)); },
      .count_retry = [&engine] { engine.count_oom_retry(); },
      .list_models = [&engine] { return list_models(engine); },
  };
}

}  // namespace mgpu::gateway
