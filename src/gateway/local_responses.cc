#include "gateway/local_responses.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/services.h"
#include "gateway/fetch_answer.h"
#include "gateway/forward.h"
#include "gateway/forwarding_rules.h"
#include "gateway/ollama_body.h"
#include "gateway/ollama_services.h"
#include "gateway/response_body.h"

namespace mgpu::gateway {
namespace {

// Answered while no Ollama can be asked; clients compare versions.
constexpr const char* kOllamaVersionBody = R"({"version":"0.12.0"})";
constexpr const char* kOllamaRootBody = "Ollama is running";

// For all Ollama services together.
constexpr Duration kListingLimit = std::chrono::seconds(3);

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

ListedModel find_listed(const EngineApi& engine_api, const std::string& name, const std::string& owner) {
  std::vector<ListedModel> models = engine_api.list_models();
  const auto listed = std::ranges::find_if(
      models, [&](const ListedModel& one) { return one.id == name && one.owner == owner; });
  return listed != models.end() ? std::move(*listed) : ListedModel{.id = name, .owner = owner};
}

// The response for a listed name, or for another name that resolves.
Result<std::string> single_model_body(const EngineApi& engine_api, const std::string& name) {
  const std::vector<ListedModel> models = engine_api.list_models();
  const auto listed = std::ranges::find(models, name, &ListedModel::id);
  if (listed != models.end()) return model_body(*listed, unix_ms() / 1000);
  Result<engine::Target> target = engine_api.resolve(name);
  if (!target) return std::unexpected(target.error());
  const std::string owner = engine_api.config_of(target->consumer)->name;
  return model_body({.id = name, .owner = owner}, unix_ms() / 1000);
}

// A remote Ollama may want the client's key.
Headers credentials(const RequestContext& request) {
  constexpr std::string_view kName = "Authorization";
  const std::string_view key = header(request.caller.head.headers, kName);
  return key.empty() ? Headers{} : Headers{{std::string(kName), std::string(key)}};
}

// What the Ollama services answer to the same request. Those that do not are left out.
Awaitable<OllamaAnswers> fetch_ollama_answers(const RequestContext& request) {
  const auto until = std::chrono::steady_clock::now() + kListingLimit;
  OllamaAnswers answers;
  for (const OllamaService& service : ollama_services(request)) {
    const auto left = std::chrono::duration_cast<Duration>(until - std::chrono::steady_clock::now());
    std::string path(path_without_query(request.route.target));
    Headers headers = credentials(request);
    auto fetching =
        fetch_answer(request.gateway, service.consumer, std::move(path), std::move(headers), left);
    Result<std::string> answer = co_await std::move(fetching);
    if (answer) answers[service.name] = *std::move(answer);
  }
  co_return answers;
}

Awaitable<Result<std::string>> listing_body(const RequestContext& request) {
  const EngineApi& engine_api = request.gateway.engine_api;
  OllamaAnswers answers;
  switch (request.route.kind) {
    case RouteKind::ollama_tags:
      answers = co_await fetch_ollama_answers(request);
      co_return tags_body(engine_api.list_models(), answers, unix_ms());
    case RouteKind::ollama_ps:
      answers = co_await fetch_ollama_answers(request);
      co_return ps_body(engine_api.list_models(), answers, unix_ms());
    case RouteKind::ollama_version:
      co_return kOllamaVersionBody;
    case RouteKind::get_model:
      co_return single_model_body(engine_api, request.route.argument);
    default:
      co_return models_body(engine_api.list_models(), unix_ms() / 1000);
  }
}

Awaitable<Result<void>> respond_with_redirect(RequestContext& request) {
  ResponseHead head{.status = 308, .headers = {{"Location", request.route.argument}}, .length = 0};
  co_return co_await request.caller.send_head(std::move(head));
}

Awaitable<Result<void>> respond_ollama_root(RequestContext& request) {
  std::string body = kOllamaRootBody;
  Headers headers{{"Content-Type", "text/plain; charset=utf-8"}};
  co_return co_await send_response(request.caller, 200, std::move(body), std::move(headers));
}

bool can_be_forwarded(const RequestContext& request) {
  return request.route.kind == RouteKind::ollama_version ||
         config::service_traits(request.consumer()->service.type).answers_ollama_show;
}

std::string own_body(const RequestContext& request) {
  if (request.route.kind == RouteKind::ollama_version) return kOllamaVersionBody;
  const RequestTarget& target = request.target;
  const std::string& name = target.model ? target.model->name() : target.query_model;
  return show_body(find_listed(request.gateway.engine_api, name, request.consumer()->name), unix_ms());
}

}  // namespace

Awaitable<Result<void>> respond_wrong_method(RequestContext& request) {
  const Route& route = request.route;
  const std::string allowed = route.kind == RouteKind::wrong_method ? route.argument : "GET";
  std::string why = fmt::format("{} takes {}, not {}", path_without_query(route.target), allowed,
                                request.caller.head.method);
  std::string body = error_body(route.protocol, {ErrorCode::invalid_request, std::move(why)});
  Headers headers{{"Allow", allowed}};
  co_return co_await send_json(request.caller, 405, std::move(body), std::move(headers));
}

Awaitable<Result<void>> respond_locally(RequestContext& request) {
  if (request.route.kind == RouteKind::add_slash) co_return co_await respond_with_redirect(request);
  if (request.route.kind == RouteKind::wrong_method) co_return co_await respond_wrong_method(request);
  if (request.route.kind == RouteKind::ollama_root) co_return co_await respond_ollama_root(request);
  Result<std::string> body = co_await listing_body(request);
  if (!body) co_return std::unexpected(body.error());
  Headers headers;
  co_return co_await send_json(request.caller, 200, std::move(*body), std::move(headers));
}

bool is_answered_locally(const RequestContext& request) {
  const RouteKind kind = request.route.kind;
  return is_answered_here(kind) || (kind == RouteKind::ollama_version && ollama_services(request).empty());
}

bool may_be_forwarded(RouteKind kind) {
  return kind == RouteKind::ollama_show || kind == RouteKind::ollama_version;
}

Awaitable<Result<void>> forward_or_respond(RequestContext& request) {
  if (can_be_forwarded(request)) {
    Result<void> forwarded = co_await forward_free(request);
    const bool client_left = !forwarded && forwarded.error().code == ErrorCode::cancelled;
    if (forwarded || client_left || request.attempt.head_sent) co_return forwarded;
  }
  std::string body = own_body(request);
  Headers headers;
  co_return co_await send_json(request.caller, 200, std::move(body), std::move(headers));
}

}  // namespace mgpu::gateway
