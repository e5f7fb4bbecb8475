// Which requests are the gateway's, in which protocol, and what they ask for. All others are the control
// plane's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mgpu::gateway {

enum class Protocol : std::uint8_t { openai, ollama, plain };

enum class RouteKind : std::uint8_t {
  needs_turn,      // the body names the AI model; waits in the line
  to_consumer,     // /c/<consumer>/...: the path names the consumer
  list_models,     // GET /v1/models
  get_model,       // GET /v1/models/{id}
  ollama_tags,     // GET /api/tags: what /v1/models lists, in Ollama's protocol
  ollama_ps,       // GET /api/ps: what is warm
  ollama_version,  // GET /api/version
  ollama_show,     // POST /api/show: asks a service that is up, takes no turn
  wrong_method,    // the path is ours, the method is not; `argument` is the right one
};

// Whether the gateway answers such a request by itself, without a consumer.
constexpr bool is_answered_here(RouteKind kind) {
  return kind != RouteKind::needs_turn && kind != RouteKind::to_consumer && kind != RouteKind::ollama_show;
}

struct Route {
  Protocol protocol = Protocol::plain;
  RouteKind kind = RouteKind::needs_turn;
  std::string argument{};  // get_model: its id. to_consumer: the consumer. Decoded
  std::string target{};    // path and query to ask the service for
  friend bool operator==(const Route&, const Route&) = default;
};

// `target` as it stands in the request line: path and query. None: not the gateway's.
std::optional<Route> find_route(std::string_view method, std::string_view target);

// The paths that need a "model" in the body, for an error message: "/v1/chat/completions, ...".
std::string model_route_list();

// Whether a path (without its query) matches one of a consumer's free_paths, e.g. "/ws" or "/history/*".
bool matches_path(std::string_view pattern, std::string_view path);

// The part of a target before its query.
std::string_view path_without_query(std::string_view target);

}  // namespace mgpu::gateway
