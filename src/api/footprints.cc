// GET and DELETE /v1/footprints: what each resident is expected to take, and where the figure comes from.
#include <algorithm>

#include <fmt/format.h>

#include "api/api_context.h"
#include "config/services.h"
#include "service/service.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

// The configuration's figure; the largest where a service holds one AI model at a time.
Bytes declared_footprint(const config::ConsumerConfig& config, const std::string& ai_model) {
  const config::ServiceConfig& service = config.service;
  Bytes largest{};
  for (const auto& [name, own] : config.ai_models)
    if (!has_several_ai_models(service) || service::canonical_name(service.type, name) == ai_model)
      largest = std::max(largest, own);
  return largest > Bytes{} ? largest : config.footprint;
}

// The source's name on the wire, and a sentence about it.
std::pair<const char*, std::string> footprint_source(const engine::Engine& engine, ResidentId id) {
  const Resident& resident = engine.world().registry[id];
  const LearnedCosts& learned = resident.costs;
  if (learned.footprint > Bytes{} && learned.loads == 0)
    return {"learned", "as its service reported, or as its unload freed"};
  if (learned.footprint > Bytes{})
    return {"learned", fmt::format("learned from {} load{}", learned.loads, learned.loads == 1 ? "" : "s")};
  if (const std::string file = engine.estimated_from(id); !file.empty())
    return {"estimated", "estimated from " + file};
  if (resident.declared_footprint == Bytes{}) return {"unknown", "not declared, and not measured yet"};
  if (declared_footprint(*engine.config_of(resident.consumer), resident.ai_model) > Bytes{})
    return {"declared", "declared"};
  return {"estimated", "as its service reported when it was found loaded"};
}

Json footprint_json(const engine::Engine& engine, ResidentId id) {
  const Resident& resident = engine.world().registry[id];
  const Consumer& spec = engine.world().registry[resident.consumer].spec;
  const auto [source, why] = footprint_source(engine, id);
  return {{"consumer", spec.name},
          {"ai_model", resident.ai_model},
          {"source", source},
          {"why", why},
          {"expected_bytes", resident.footprint.count},
          {"declared_bytes", resident.declared_footprint.count},
          {"declared_working_bytes", spec.working.count},
          {"learned", learned_json(resident.costs)}};
}

}  // namespace

asio::awaitable<HandlerResult> list_footprints(ApiContext& context, ApiRequest, ResponseStream) {
  const Registry& registry = context.engine.world().registry;
  Json rows = Json::array();
  for (const ConsumerState& consumer : registry.consumers)
    for (const ResidentId id : consumer.residents) rows.push_back(footprint_json(context.engine, id));
  co_return json_response({{"footprints", std::move(rows)}});
}

asio::awaitable<HandlerResult> forget_footprint(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto id = consumer_from_path(request, context.engine);
  if (!id) co_return std::unexpected(id.error());
  context.engine.forget_learned(*id);
  co_return json_response({{"consumer", request.path_arguments.at("name")}, {"forgotten", true}});
}

}  // namespace mgpu::api
