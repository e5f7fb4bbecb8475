#include "gateway/resolve_target.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "config/services.h"
#include "gateway/forwarding_rules.h"
#include "gateway/ollama_services.h"
#include "gateway/query_model.h"
#include "gateway/read_steering.h"
#include "service/request_table.h"

namespace mgpu::gateway {
namespace {

Error no_model_error() {
  return {ErrorCode::invalid_request,
          "the request names no AI model: " + model_route_list() +
              " want \"model\" in their body, a consumer or AI model of GET /v1/models"};
}

Error no_service_error(const config::ConsumerConfig& consumer) {
  return {ErrorCode::not_supported,
          fmt::format("{0} answers no requests: it has no service. It takes leases, by POST /v1/leases or "
                      "mgpu run --consumer {0}",
                      consumer.name)};
}

Error unknown_consumer_error(const EngineApi& engine_api, const std::string& name) {
  std::string known, last;
  for (const ListedModel& model : engine_api.list_models()) {
    if (model.owner == last) continue;  // the names of a consumer are adjacent
    last = model.owner;
    known += (known.empty() ? "" : ", ") + last;
  }
  return {ErrorCode::not_found,
          fmt::format("there is no consumer \"{}\"; known are {}", name, known.empty() ? "none" : known)};
}

std::string not_loaded_text(const std::string& consumer) {
  return fmt::format("{0} is not loaded: a request that computes loads it, or mgpu load {0}", consumer);
}

// Whether bodies of this type may name an AI model. Clients omit the header or set it wrong, but not for
// media.
bool may_name_model(std::string_view content_type) {
  constexpr std::array<std::string_view, 3> kMedia{"audio/", "video/", "image/"};
  return std::ranges::none_of(
      kMedia, [&](std::string_view type) { return starts_with_ignore_case(content_type, type); });
}

// absent: the request may still name it in its query.
Awaitable<Result<std::optional<ModelFinder>>> find_model(RequestContext& request) {
  const RequestHead& head = request.caller.head;
  if (head.length == 0 || !may_name_model(header(head.headers, "Content-Type")))
    co_return std::optional<ModelFinder>{};
  ModelFinder finder(request.route.kind == RouteKind::ollama_show,
                     parse_boundary(header(head.headers, "Content-Type")));
  ScanStatus search = ScanStatus::still_looking;
  while (search == ScanStatus::still_looking) {
    Result<std::string> chunk = co_await request.body.buffer_next_chunk(request.caller);
    if (!chunk) co_return std::unexpected(chunk.error());
    search = chunk->empty() ? finder.finish() : finder.feed(*chunk);
  }
  if (search == ScanStatus::invalid) co_return fail(ErrorCode::invalid_request, finder.reason());
  if (search == ScanStatus::absent) co_return std::optional<ModelFinder>{};
  co_return std::optional(std::move(finder));
}

// `consumer`: the one that the path names, if any.
Awaitable<Result<engine::Target>> resolve_name(RequestContext& request, std::optional<ConsumerId> consumer,
                                               std::string_view name) {
  const EngineApi& engine_api = request.gateway.engine_api;
  const auto resolve = [&] {
    return consumer ? engine_api.resolve_within(*consumer, name) : engine_api.resolve(name);
  };
  Result<engine::Target> resolved = resolve();
  if (resolved || name.empty() || resolved.error().code != ErrorCode::not_found) co_return resolved;
  co_await engine_api.refresh_all_ai_models();  // it may have been made a moment ago, beside the daemon
  co_return resolve();
}

// `consumer`: the one that the path names, if any.
Awaitable<Result<void>> resolve_by_body(RequestContext& request, std::optional<ConsumerId> consumer) {
  Result<std::optional<ModelFinder>> found = co_await find_model(request);
  if (!found) co_return std::unexpected(found.error());
  std::optional<ModelFinder>& model = *found;
  if (!model) request.target.query_model = model_in_query(request.route.target);
  const std::string name = model ? model->name() : request.target.query_model;
  if (name.empty()) co_return std::unexpected(no_model_error());
  const Result<engine::Target> resolved = co_await resolve_name(request, consumer, name);
  if (!resolved) co_return std::unexpected(resolved.error());
  request.target.resolved = *resolved;
  request.target.model = std::move(model);
  co_return Result<void>{};
}

// A request that needs an AI model. A consumer with a single one needs no name.
Awaitable<Result<void>> resolve_work(RequestContext& request, ConsumerId consumer,
                                     const service::RequestMatch& match) {
  const EngineApi& engine_api = request.gateway.engine_api;
  const Result<engine::Target> by_path = engine_api.resolve_within(consumer, match.ai_model);
  const bool names_none = match.ai_model.empty() && request.caller.head.length == 0 &&
                          model_in_query(request.route.target).empty();
  if (!by_path && (!match.ai_model.empty() || names_none)) co_return std::unexpected(by_path.error());
  if (by_path) {
    request.target.resolved = *by_path;
  } else {
    const std::optional<ConsumerId> within = consumer;
    const Result<void> resolved = co_await resolve_by_body(request, within);
    if (!resolved) co_return resolved;
  }
  const bool is_light = match.meaning == service::RequestMeaning::uses_loaded;
  request.target.needs_turn = !(is_light && engine_api.is_warm(request.target.resolved));
  co_return Result<void>{};
}

// A look, a cancellation or a change of files: whichever AI model it names, it takes no turn.
Result<void> resolve_free(RequestContext& request, ConsumerId consumer, const service::RequestMatch& match) {
  const EngineApi& engine_api = request.gateway.engine_api;
  const bool may_load = match.meaning == service::RequestMeaning::looks_if_warm;
  const std::string name = may_load ? model_in_query(request.route.target) : std::string{};
  const Result<engine::Target> resolved = engine_api.resolve_within(consumer, name);
  request.target.resolved = resolved.value_or(engine::Target{.consumer = consumer});
  if (may_load && resolved && !engine_api.is_warm(*resolved))
    return fail(ErrorCode::unavailable, not_loaded_text(request.consumer()->name) +
                                            "; this request is not sent, because its answer would load it");
  return {};
}

// A request that steers memory, or computes after all.
Awaitable<Result<void>> resolve_steering(RequestContext& request, std::optional<ConsumerId> consumer,
                                         const config::ServiceConfig& kind,
                                         const service::RequestMatch& match) {
  const Result<void> read = co_await read_steering(request, kind, match);
  if (!read) co_return read;
  RequestTarget& target = request.target;
  const EngineApi& engine_api = request.gateway.engine_api;
  const bool steers = target.memory_request.has_value();
  const std::string name = steers         ? target.memory_request->ai_model
                           : target.model ? target.model->name()
                                          : match.ai_model;
  const bool has_body = request.caller.head.length != 0;
  if (name.empty() && (has_body || !consumer) && !(consumer && engine_api.resolve_within(*consumer, "")))
    co_return std::unexpected(no_model_error());
  const Result<engine::Target> resolved = co_await resolve_name(request, consumer, name);
  if (!resolved) co_return std::unexpected(resolved.error());
  target.resolved = *resolved;
  target.needs_turn = !steers;
  if (steers && !target.resolved.resident)
    co_return fail(ErrorCode::not_supported, request.consumer()->name + " has nothing that could be loaded");
  const bool is_ollama = request.consumer()->service.type == config::ServiceType::ollama;
  if (!is_ollama) target.keep_alive_edit.reset();
  if (request.consumer()->max_keep_alive == Duration{0}) target.keep_alive.reset();
  co_return Result<void>{};
}

// What the request means to the service of its consumer, which is resolved.
service::RequestMatch classify(RequestContext& request) {
  const config::ConsumerSnapshot config = request.consumer();
  request.is_websocket_upgrade =
      config::service_traits(config->service.type).websocket && asks_websocket_upgrade(request.caller.head);
  const std::string_view method =
      request.is_websocket_upgrade ? service::kWebSocketMethod : std::string_view(request.caller.head.method);
  return service::classify(config->service, method, request.route.target);
}

Awaitable<Result<void>> resolve_by_path(RequestContext& request) {
  const EngineApi& engine_api = request.gateway.engine_api;
  const std::string& name = request.route.argument;
  const std::optional<ConsumerId> consumer = engine_api.find_consumer(name);
  if (!consumer) co_return std::unexpected(unknown_consumer_error(engine_api, name));
  request.target.resolved = {.consumer = *consumer};
  const config::ConsumerSnapshot config = request.consumer();
  if (config->service.type == config::ServiceType::none) co_return std::unexpected(no_service_error(*config));
  const service::RequestMatch match = classify(request);
  request.target.meaning = match.meaning;
  if (match.meaning == service::RequestMeaning::refused_head) co_return Result<void>{};
  if (service::is_free(match.meaning)) co_return resolve_free(request, *consumer, match);
  if (match.meaning == service::RequestMeaning::steers_memory)
    co_return co_await resolve_steering(request, consumer, config->service, match);
  co_return co_await resolve_work(request, *consumer, match);
}

// A request to Ollama's API at the root, whatever service its AI model belongs to.
Awaitable<Result<void>> resolve_ollama_request(RequestContext& request) {
  const config::ServiceConfig ollama{.type = config::ServiceType::ollama};
  const service::RequestMatch match =
      service::classify(ollama, request.caller.head.method, request.route.target);
  request.target.meaning = match.meaning;
  const std::optional<ConsumerId> any_consumer;
  co_return co_await resolve_steering(request, any_consumer, ollama, match);
}

// A request at the root that names its AI model. Only what needs no device time may pass without a turn, and
// only while its AI model is warm: nothing else would load it.
Awaitable<Result<void>> resolve_named(RequestContext& request) {
  const std::optional<ConsumerId> any_consumer;
  const Result<void> resolved = co_await resolve_by_body(request, any_consumer);
  if (!resolved) co_return resolved;
  request.target.meaning = classify(request).meaning;
  const bool is_light = request.target.meaning == service::RequestMeaning::uses_loaded ||
                        service::is_free(request.target.meaning);
  const bool is_warm = request.gateway.engine_api.is_warm(request.target.resolved);
  request.target.needs_turn = request.route.kind == RouteKind::needs_turn && !(is_light && is_warm);
  co_return Result<void>{};
}

// As under /c/<consumer>; what only reads computes nothing.
Awaitable<Result<void>> resolve_other_ollama_path(RequestContext& request) {
  const std::string& method = request.caller.head.method;
  if (method == "GET" || method == "HEAD") co_return co_await resolve_ollama_service(request);
  Result<std::string> consumer = first_ollama_service(request);
  if (!consumer) co_return std::unexpected(consumer.error());
  request.route.argument = std::move(*consumer);
  co_return co_await resolve_by_path(request);
}

Awaitable<Result<void>> resolve_by_kind(RequestContext& request) {
  switch (request.route.kind) {
    case RouteKind::to_consumer:
      return resolve_by_path(request);
    case RouteKind::ollama_version:
    case RouteKind::ollama_files:
      return resolve_ollama_service(request);
    case RouteKind::ollama_other:
      return resolve_other_ollama_path(request);
    case RouteKind::needs_turn:
      return request.route.protocol == Protocol::ollama ? resolve_ollama_request(request)
                                                        : resolve_named(request);
    default:
      return resolve_named(request);
  }
}

}  // namespace

Awaitable<Result<void>> resolve_target(RequestContext& request) {
  auto resolving = resolve_by_kind(request);
  const Result<void> resolved = co_await std::move(resolving);
  if (!resolved) co_return resolved;
  if (request.consumer()->service.type == config::ServiceType::none)
    co_return std::unexpected(no_service_error(*request.consumer()));
  co_return resolved;
}

}  // namespace mgpu::gateway
