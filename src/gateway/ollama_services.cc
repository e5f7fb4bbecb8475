#include "gateway/ollama_services.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "gateway/route.h"

namespace mgpu::gateway {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kDeletePath = "/api/delete";
// Of a body that is read to find the AI model in it; in a longer one (a creation with a long template) it is
// not looked for.
constexpr std::size_t kMaxReadBody = std::size_t{256} * 1024;

std::string string_field(const Json& body, const char* key) {
  const auto field = body.find(key);
  return field != body.end() && field->is_string() ? field->get<std::string>() : "";
}

// The AI model that must already exist for the request to succeed; empty: none, or it can't be told.
std::string existing_ai_model(std::string_view path, const std::string& text) {
  const Json body = Json::parse(text, nullptr, false);
  if (!body.is_object()) return {};
  if (path == "/api/copy") return string_field(body, "source");
  if (path == "/api/create") return string_field(body, "from");
  const std::string model = string_field(body, "model");
  return model.empty() ? string_field(body, "name") : model;
}

Awaitable<Result<std::string>> buffer_body(RequestContext& request) {
  std::string text;
  while (text.size() < kMaxReadBody) {
    Result<std::string> chunk = co_await request.body.buffer_next_chunk(request.caller);
    if (!chunk) co_return chunk;
    if (chunk->empty()) break;
    text += *chunk;
  }
  co_return text;
}

bool is_upload(std::string_view path) { return path.starts_with("/api/blobs/"); }

Error no_ollama_error(std::string_view path) {
  return {ErrorCode::not_found, std::string(path) + " not found: no consumer has `service: ollama`"};
}

// Its files may be larger than limits.max_body, which is meant for bodies that wait for their turn.
void lift_body_limit(RequestContext& request) {
  request.body.lift_limit();
  request.caller.lift_body_limit();
}

}  // namespace

std::vector<OllamaService> ollama_services(const RequestContext& request) {
  std::vector<OllamaService> services;
  for (const config::ConsumerConfig& consumer : request.config->consumers) {
    if (consumer.service.type != config::ServiceType::ollama) continue;
    if (const auto id = request.gateway.engine_api.find_consumer(consumer.name))
      services.push_back({.consumer = *id, .name = consumer.name});
  }
  return services;
}

Result<std::string> first_ollama_service(const RequestContext& request) {
  std::vector<OllamaService> services = ollama_services(request);
  if (services.empty()) return std::unexpected(no_ollama_error(path_without_query(request.route.target)));
  return std::move(services.front().name);
}

Awaitable<Result<void>> resolve_ollama_service(RequestContext& request) {
  const std::string_view path = path_without_query(request.route.target);
  const std::vector<OllamaService> services = ollama_services(request);
  if (services.empty()) co_return std::unexpected(no_ollama_error(path));
  request.target.resolved = engine::Target{.consumer = services.front().consumer};
  request.target.meaning = request.route.kind == RouteKind::ollama_files
                               ? service::RequestMeaning::manages_files
                               : service::RequestMeaning::looks;
  if (is_upload(path)) {
    lift_body_limit(request);
    co_return Result<void>{};
  }
  const bool deletes = path == kDeletePath;
  if ((services.size() == 1 && !deletes) || request.caller.head.length == 0) co_return Result<void>{};
  const Result<std::string> body = co_await buffer_body(request);
  if (!body) co_return std::unexpected(body.error());
  const std::string ai_model = existing_ai_model(path, *body);
  const auto resolved = request.gateway.engine_api.resolve(ai_model);
  if (ai_model.empty() || !resolved) co_return Result<void>{};
  const auto owns_it = [&](const OllamaService& one) { return one.consumer == resolved->consumer; };
  if (!std::ranges::any_of(services, owns_it)) co_return Result<void>{};
  request.target.resolved.consumer = resolved->consumer;
  if (deletes) request.target.deleted = *resolved;
  co_return Result<void>{};
}

Awaitable<void> unload_deleted(RequestContext& request) {
  const EngineApi& engine_api = request.gateway.engine_api;
  if (!request.target.deleted || !engine_api.is_warm(*request.target.deleted)) co_return;
  const engine::Target target = *request.target.deleted;
  const engine::UnloadWait wait = engine::UnloadWait::unless_in_use;
  auto unloading = engine_api.unload(target, wait);
  const Result<bool> unloaded = co_await std::move(unloading);
  (void)unloaded;  // what is pinned or in use stays: then its files are deleted beneath it, as with Ollama
                   // itself
}

}  // namespace mgpu::gateway
