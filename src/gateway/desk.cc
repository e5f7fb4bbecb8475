#include "gateway/desk.h"

#include <algorithm>
#include <set>

namespace mgpu::gateway {
namespace {

TicketRequest ask_for(engine::Engine& engine, engine::Target target, const Asking& asking) {
  return {.device = engine.world().registry[target.consumer].spec.device,
          .consumer = target.consumer,
          .resident = target.resident,
          .wait_limit = asking.wait_limit,
          .priority = asking.priority,
          .user = engine.user_number(asking.user, asking.api_key),
          .deadline = asking.deadline};
}

Held held_of(engine::Engine& engine, std::shared_ptr<engine::Lease> lease);

Awaitable<Result<Held>> again(engine::Engine& engine, std::shared_ptr<engine::Lease> lease) {
  const Result<void> held = co_await engine.reacquire(*lease);
  if (!held) co_return std::unexpected(held.error());
  co_return held_of(engine, std::move(lease));
}

Held held_of(engine::Engine& engine, std::shared_ptr<engine::Lease> lease) {
  return {.ticket = lease->ticket().value,
          .waited = lease->waited(),
          .loading = lease->loading(),
          .holding = lease,
          .on_ended = [lease = lease.get()](auto listener) { lease->on_ended(std::move(listener)); },
          .again = [&engine, lease] { return again(engine, lease); }};
}

Awaitable<Result<Held>> acquire(engine::Engine& engine, engine::Target target, Asking asking) {
  TicketRequest ask = ask_for(engine, target, asking);
  engine::Holder holder{.who = std::move(asking.who)};
  Result<engine::Lease> lease = co_await engine.acquire(ask, std::move(holder));
  if (!lease) co_return std::unexpected(lease.error());
  co_return held_of(engine, std::make_shared<engine::Lease>(std::move(*lease)));
}

bool in_memory(const Resident& resident) { return resident.state == Residency::warm; }

std::vector<Listed> everybody(const engine::Engine& engine) {
  std::vector<Listed> listed;
  std::set<std::string> seen;
  const Registry& registry = engine.world().registry;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    ConsumerId id{i};
    const ConsumerState& state = registry[id];
    if (state.spec.lease_only) continue;
    auto resident_called = [&](std::string_view ai_model) {
      return std::ranges::find_if(state.residents,
                                  [&](ResidentId r) { return registry[r].ai_model == ai_model; });
    };
    bool any_warm =
        std::ranges::any_of(state.residents, [&](ResidentId r) { return in_memory(registry[r]); });
    auto add = [&](const std::string& name, bool warm) {
      if (seen.insert(name).second) listed.push_back({name, state.spec.name, state.spec.footprint, warm});
    };
    // Where there are several AI models, the consumer's own name does not say which.
    const bool one_ai_model = resident_called("") != state.residents.end();
    if (one_ai_model) {
      add(state.spec.name, any_warm);
      for (const std::string& alias : engine.config_of(id).aliases) add(alias, any_warm);
    }
    for (const std::string& ai_model : engine.ai_models(id)) {
      auto resident = resident_called(ai_model);
      add(ai_model, resident == state.residents.end() ? any_warm && state.residents.size() == 1
                                                      : in_memory(registry[*resident]));
    }
  }
  return listed;
}

}  // namespace

Desk desk_of(engine::Engine& engine) {
  return {
      .resolve = [&engine](std::string_view name) { return engine.resolve(name); },
      .resolve_within = [&engine](ConsumerId id, std::string_view name) { return engine.resolve(id, name); },
      .consumer_named = [&engine](std::string_view name) { return engine.find_consumer(name); },
      .config_of = [&engine](ConsumerId id) -> const config::ConsumerConfig& { return engine.config_of(id); },
      .ai_model_of =
          [&engine](engine::Target target) {
            const Registry& registry = engine.world().registry;
            if (!target.resident || target.resident->value >= registry.residents.size()) return std::string{};
            return registry[*target.resident].ai_model;
          },
      .endpoint = [&engine](ConsumerId id) { return engine.endpoint(id); },
      .acquire = [&engine](engine::Target target,
                           Asking asking) { return acquire(engine, target, std::move(asking)); },
      .still_busy = [&engine](ConsumerId id) { return engine.is_busy(id); },
      .suspect = [&engine](ConsumerId id, std::string why) { engine.report_suspect(id, std::move(why)); },
      .note_retry = [&engine] { engine.count_oom_retry(); },
      .everybody = [&engine] { return everybody(engine); },
  };
}

}  // namespace mgpu::gateway
