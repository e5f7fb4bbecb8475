#include "gateway/route.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "gateway/form_scanner.h"

namespace mgpu::gateway {
namespace {

struct RouteEntry {
  std::string_view method;
  std::string_view path;  // a trailing * matches a non-empty rest
  Protocol protocol;
  RouteKind kind;
};

constexpr std::array kRoutes{
    RouteEntry{"POST", "/v1/chat/completions", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/completions", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/responses", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/embeddings", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/moderations", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/rerank", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/reranking", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v2/rerank", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/rerank", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/reranking", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/score", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/score", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/classify", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/pooling", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/audio/transcriptions", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/audio/translations", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/audio/speech", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"GET", "/v1/audio/voices", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/images/*", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"GET", "/v1/realtime", Protocol::openai, RouteKind::needs_turn},
    // llama-server's own.
    RouteEntry{"POST", "/completion", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/infill", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/embedding", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/tokenize", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/detokenize", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/apply-template", Protocol::openai, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/messages", Protocol::anthropic, RouteKind::needs_turn},
    RouteEntry{"POST", "/v1/messages/count_tokens", Protocol::anthropic, RouteKind::needs_turn},
    RouteEntry{"GET", "/v1/models", Protocol::openai, RouteKind::list_models},
    RouteEntry{"GET", "/v1/models/*", Protocol::openai, RouteKind::get_model},
    RouteEntry{"POST", "/api/chat", Protocol::ollama, RouteKind::needs_turn},
    RouteEntry{"POST", "/api/generate", Protocol::ollama, RouteKind::needs_turn},
    RouteEntry{"POST", "/api/embed", Protocol::ollama, RouteKind::needs_turn},
    RouteEntry{"POST", "/api/embeddings", Protocol::ollama, RouteKind::needs_turn},
    RouteEntry{"GET", "/", Protocol::ollama, RouteKind::ollama_root},
    RouteEntry{"GET", "/api/tags", Protocol::ollama, RouteKind::ollama_tags},
    RouteEntry{"GET", "/api/ps", Protocol::ollama, RouteKind::ollama_ps},
    RouteEntry{"GET", "/api/version", Protocol::ollama, RouteKind::ollama_version},
    RouteEntry{"POST", "/api/show", Protocol::ollama, RouteKind::ollama_show},
    RouteEntry{"POST", "/api/pull", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/push", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/create", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/copy", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"DELETE", "/api/delete", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"HEAD", "/api/blobs/*", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/blobs/*", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/me", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/signout", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"DELETE", "/api/user/keys/*", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"GET", "/api/experimental/*", Protocol::ollama, RouteKind::ollama_files},
    RouteEntry{"POST", "/api/experimental/*", Protocol::ollama, RouteKind::ollama_files},
};

constexpr std::string_view kConsumerPrefix = "/c/";
constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr std::string_view kOllamaPrefix = "/api/";

bool accepts_method(std::string_view wanted, std::string_view method) {
  return method == wanted || (wanted == "GET" && method == "HEAD");
}

bool matches_route(std::string_view pattern, std::string_view path) {
  return matches_path(pattern, path) && !(pattern.ends_with('*') && path.size() < pattern.size());
}

// Clients of /c/chat/v1/chat/completions expect the same error format as those of /v1/chat/completions.
Protocol path_protocol(std::string_view path) {
  auto entry = std::ranges::find_if(
      kRoutes, [path](const RouteEntry& candidate) { return matches_route(candidate.path, path); });
  return entry == kRoutes.end() || path == "/" ? Protocol::plain : entry->protocol;
}

Route consumer_route(std::string_view method, std::string_view target) {
  std::string_view rest = target.substr(kConsumerPrefix.size());
  std::size_t name_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string service_target(rest.substr(name_end));
  if (!service_target.starts_with('/') && (method == "GET" || method == "HEAD"))
    return {Protocol::plain, RouteKind::add_slash,
            fmt::format("{}{}/{}", kConsumerPrefix, rest.substr(0, name_end), service_target),
            std::string(target)};
  if (!service_target.starts_with('/')) service_target.insert(0, "/");
  Protocol protocol = path_protocol(path_without_query(service_target));
  return {protocol, RouteKind::to_consumer, percent_decode(rest.substr(0, name_end), false), service_target};
}

// Clients join a base URL with a slash at its end and a path with one at its begin, or end paths with one.
std::string without_extra_slashes(std::string_view target) {
  std::string path(path_without_query(target));
  const std::string_view query = target.substr(path.size());
  const auto is_doubled = [](char left, char right) { return left == '/' && right == '/'; };
  path.erase(0, std::min(path.find_first_not_of('/'), path.size()) - (path.starts_with('/') ? 1 : 0));
  if (!path.starts_with(kConsumerPrefix) &&
      !(path.starts_with(kModelPrefix) && path.size() > kModelPrefix.size())) {
    path.erase(std::ranges::unique(path, is_doubled).begin(), path.end());
    if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  }
  return path.append(query);
}

}  // namespace

std::string_view path_without_query(std::string_view target) { return target.substr(0, target.find('?')); }

bool matches_path(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with('*')) return pattern == path;
  return path.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::optional<Route> find_route(std::string_view method, std::string_view target, std::string_view accept) {
  const std::string tidied = without_extra_slashes(target);
  target = tidied;
  if (target.starts_with(kConsumerPrefix)) return consumer_route(method, target);
  const std::string_view path = path_without_query(target);
  if (path == "/" && accept.contains("text/html")) return std::nullopt;
  std::optional<Route> wrong_method;
  for (const RouteEntry& entry : kRoutes) {
    if (!matches_route(entry.path, path)) continue;
    if (!accepts_method(entry.method, method)) {
      if (!wrong_method)
        wrong_method = Route{entry.protocol, RouteKind::wrong_method, {}, std::string(target)};
      wrong_method->argument += (wrong_method->argument.empty() ? "" : ", ") + std::string(entry.method);
      continue;
    }
    Route route{entry.protocol, entry.kind, {}, std::string(target)};
    if (entry.kind == RouteKind::get_model)
      route.argument = percent_decode(path.substr(entry.path.size() - 1), false);
    return route;
  }
  if (wrong_method) return wrong_method;
  if (!path.starts_with(kOllamaPrefix)) return std::nullopt;
  return Route{Protocol::ollama, RouteKind::ollama_other, {}, std::string(target)};
}

std::string model_route_list() {
  std::string list;
  for (const RouteEntry& entry : kRoutes) {
    if (entry.kind != RouteKind::needs_turn && entry.kind != RouteKind::ollama_show) continue;
    if (!list.empty()) list += ", ";
    list += entry.path;
  }
  return list;
}

}  // namespace mgpu::gateway
