// What each resident costs, and how that is known.
#include <algorithm>

#include <fmt/format.h>

#include "api/desk.h"
#include "engine/estimates.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

// What the configuration says itself, of whichever AI model.
Bytes declared_in(const config::ConsumerConfig& config) {
  Bytes largest = config.footprint;
  for (const auto& [name, own] : config.ai_models) largest = std::max(largest, own);
  return largest;
}

// The name of the source, and a sentence about it.
std::pair<const char*, std::string> source_of(const Resident& resident,
                                              const config::ConsumerConfig& config) {
  const Learned& learned = resident.learned;
  const Bytes declared = declared_in(config);
  if (learned.footprint > Bytes{})
    return {"learned", fmt::format("learned from {} load{}", learned.loads, learned.loads == 1 ? "" : "s")};
  if (resident.declared > Bytes{} && declared == Bytes{}) {
    const auto files = engine::weights_of(config);
    const std::string file = files.empty() ? "" : files.front().substr(files.front().rfind('/') + 1);
    return {"estimated", "estimated from " + file + (files.size() > 1 ? " and its shards" : "")};
  }
  if (resident.declared > Bytes{}) return {"declared", "declared"};
  return {"unknown", "nobody said, and it was not seen yet"};
}

Json footprint_json(const Registry& registry, const Resident& resident,
                    const config::ConsumerConfig& config) {
  const Consumer& spec = registry[resident.consumer].spec;
  const auto [source, why] = source_of(resident, config);
  return {{"consumer", spec.name},
          {"ai_model", resident.ai_model},
          {"source", source},
          {"why", why},
          {"expected_bytes", resident.footprint.count},
          {"declared_bytes", resident.declared.count},
          {"declared_working_bytes", spec.working.count},
          {"learned", learned_json(resident.learned)}};
}

}  // namespace

asio::awaitable<Answer> list_footprints(Desk& desk, Call, Outlet) {
  const Registry& registry = desk.engine.world().registry;
  Json rows = Json::array();
  for (const ConsumerState& consumer : registry.consumers)
    for (const ResidentId id : consumer.residents)
      rows.push_back(footprint_json(registry, registry[id], desk.engine.config_of(registry[id].consumer)));
  co_return json_reply({{"footprints", std::move(rows)}});
}

asio::awaitable<Answer> forget_footprint(Desk& desk, Call call, Outlet) {
  const auto id = consumer_in(call, desk.engine);
  if (!id) co_return std::unexpected(id.error());
  desk.engine.forget(*id);
  co_return json_reply({{"consumer", call.arguments.at("name")}, {"forgotten", true}});
}

}  // namespace mgpu::api
