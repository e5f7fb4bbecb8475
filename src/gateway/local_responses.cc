#include "gateway/local_responses.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/services.h"
#include "gateway/forward.h"
#include "gateway/response_body.h"

namespace mgpu::gateway {
namespace {

constexpr const char* kOllamaVersionBody = R"({"version":"0.12.0"})";  // clients compare versions

std::string now_rfc3339() { return to_rfc3339(std::chrono::system_clock::now()); }

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The response for a listed name, or for another name that resolves.
Result<std::string> single_model_body(const EngineApi& engine_api, const std::string& name) {
  const std::vector<ListedModel> models = engine_api.list_models();
  const auto listed = std::ranges::find(models, name, &ListedModel::id);
  if (listed != models.end()) return model_body(*listed, unix_seconds());
  Result<engine::Target> target = engine_api.resolve(name);
  if (!target) return std::unexpected(target.error());
  const std::string owner = engine_api.config_of(target->consumer)->name;
  return model_body({.id = name, .owner = owner}, unix_seconds());
}

Result<std::string> listing_body(const EngineApi& engine_api, const Route& route) {
  switch (route.kind) {
    case RouteKind::ollama_tags:
      return tags_body(engine_api.list_models(), now_rfc3339());
    case RouteKind::ollama_ps:
      return ps_body(engine_api.list_models(), now_rfc3339());
    case RouteKind::ollama_version:
      return kOllamaVersionBody;
    case RouteKind::get_model:
      return single_model_body(engine_api, route.argument);
    default:
      return models_body(engine_api.list_models(), unix_seconds());
  }
}

Awaitable<Result<void>> respond_wrong_method(RequestContext& request) {
  const Route& route = request.route;
  std::string why = fmt::format("{} takes {}, not {}", path_without_query(route.target), route.argument,
                                request.caller.head.method);
  std::string body = error_body(route.protocol, {ErrorCode::invalid_request, std::move(why)});
  Headers headers{{"Allow", route.argument}};
  co_return co_await send_json(request.caller, 405, std::move(body), std::move(headers));
}

Awaitable<Result<void>> respond_with_redirect(RequestContext& request) {
  ResponseHead head{.status = 308, .headers = {{"Location", request.route.argument}}, .length = 0};
  co_return co_await request.caller.send_head(std::move(head));
}

}  // namespace

Awaitable<Result<void>> respond_locally(RequestContext& request) {
  if (request.route.kind == RouteKind::add_slash) co_return co_await respond_with_redirect(request);
  if (request.route.kind == RouteKind::wrong_method) co_return co_await respond_wrong_method(request);
  Result<std::string> body = listing_body(request.gateway.engine_api, request.route);
  if (!body) co_return std::unexpected(body.error());
  Headers headers;
  co_return co_await send_json(request.caller, 200, std::move(*body), std::move(headers));
}

Awaitable<Result<void>> respond_ollama_show(RequestContext& request) {
  const config::ConsumerSnapshot config = request.consumer();
  const bool service_answers = config::service_traits(config->service.type).answers_ollama_show &&
                               request.gateway.engine_api.endpoint(request.target.resolved.consumer);
  if (service_answers) {
    Result<void> forwarded = co_await forward(request);
    if (forwarded || request.attempt.head_sent || !request.body.is_complete()) co_return forwarded;
  }
  std::string body = show_body({.id = request.target.model->name(), .owner = config->name}, now_rfc3339());
  Headers headers;
  co_return co_await send_json(request.caller, 200, std::move(body), std::move(headers));
}

}  // namespace mgpu::gateway
