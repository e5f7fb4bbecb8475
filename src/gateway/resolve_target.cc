#include "gateway/resolve_target.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "gateway/forwarding_rules.h"
#include "gateway/ollama_services.h"
#include "gateway/query_model.h"

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
Awaitable<Result<void>> resolve_by_body(RequestContext& request, std::optional<ConsumerId> consumer) {
  Result<std::optional<ModelFinder>> found = co_await find_model(request);
  if (!found) co_return std::unexpected(found.error());
  std::optional<ModelFinder>& model = *found;
  if (!model) request.target.query_model = model_in_query(request.route.target);
  const std::string name = model ? model->name() : request.target.query_model;
  if (name.empty()) co_return std::unexpected(no_model_error());
  const EngineApi& engine_api = request.gateway.engine_api;
  const auto resolve = [&] {
    return consumer ? engine_api.resolve_within(*consumer, name) : engine_api.resolve(name);
  };
  Result<engine::Target> resolved = resolve();
  if (!resolved && resolved.error().code == ErrorCode::not_found) {
    co_await engine_api.refresh_all_ai_models();  // it may have been made a moment ago, beside the daemon
    resolved = resolve();
  }
  if (!resolved) co_return std::unexpected(resolved.error());
  request.target.resolved = *resolved;
  request.target.model = std::move(model);
  co_return Result<void>{};
}

// A consumer with a single AI model, a free path and a request without a body need no "model".
Awaitable<Result<void>> resolve_by_path(RequestContext& request) {
  const EngineApi& engine_api = request.gateway.engine_api;
  const std::string& name = request.route.argument;
  const std::optional<ConsumerId> consumer = engine_api.find_consumer(name);
  if (!consumer) co_return std::unexpected(unknown_consumer_error(engine_api, name));
  Result<engine::Target> single = engine_api.resolve_within(*consumer, "");
  request.target.resolved = single.value_or(engine::Target{.consumer = *consumer});
  const bool is_free = is_free_path(request.consumer()->service.free_paths, request.route.target);
  request.target.needs_turn = !is_free;
  if (single || is_free) co_return Result<void>{};
  if (request.caller.head.length == 0 && model_in_query(request.route.target).empty())
    co_return std::unexpected(single.error());
  co_return co_await resolve_by_body(request, consumer);
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
  const std::optional<ConsumerId> any_consumer;
  switch (request.route.kind) {
    case RouteKind::to_consumer:
      return resolve_by_path(request);
    case RouteKind::ollama_version:
    case RouteKind::ollama_files:
      return resolve_ollama_service(request);
    case RouteKind::ollama_other:
      return resolve_other_ollama_path(request);
    default:
      return resolve_by_body(request, any_consumer);
  }
}

}  // namespace

Awaitable<Result<void>> resolve_target(RequestContext& request) {
  request.target.needs_turn = request.route.kind == RouteKind::needs_turn;
  auto resolving = resolve_by_kind(request);
  Result<void> resolved = co_await std::move(resolving);
  if (!resolved) co_return resolved;
  if (request.consumer()->service.type == config::ServiceType::none)
    co_return std::unexpected(no_service_error(*request.consumer()));
  co_return resolved;
}

}  // namespace mgpu::gateway
