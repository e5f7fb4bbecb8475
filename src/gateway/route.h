// Which requests belong to the gateway, their protocol and their kind. All others belong to the control
// plane.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mgpu::gateway {

enum class Protocol : std::uint8_t { openai, ollama, anthropic, plain };

enum class RouteKind : std::uint8_t {
  needs_turn,      // queues for the AI model named in the body, or in the query (?model=)
  to_consumer,     // /c/<consumer>/...: the path names the consumer
  list_models,     // GET /v1/models
  get_model,       // GET /v1/models/{id}
  ollama_root,     // GET /: Ollama's clients check that it runs
  ollama_tags,     // the list of /v1/models in Ollama's protocol
  ollama_ps,       // the warm AI models
  ollama_version,  // GET /api/version
  ollama_show,     // of the consumer that the body names; needs no turn
  ollama_files,    // pull, create, ...: of the Ollama that has the AI model, or of the first one; no turn
  ollama_other,    // the rest of /api/*: of the first Ollama, as under /c/<consumer>
  add_slash,       // GET /c/<consumer>: redirected, since a page's relative links need the slash; `argument`
                   // is the location
  wrong_method,    // the path is the gateway's, the method is wrong; `argument` lists the right ones
};

// Whether the gateway answers such a request itself, without a consumer.
constexpr bool is_answered_here(RouteKind kind) {
  switch (kind) {
    case RouteKind::needs_turn:
    case RouteKind::to_consumer:
    case RouteKind::ollama_version:
    case RouteKind::ollama_show:
    case RouteKind::ollama_files:
    case RouteKind::ollama_other:
      return false;
    default:
      return true;
  }
}

struct Route {
  Protocol protocol = Protocol::plain;
  RouteKind kind = RouteKind::needs_turn;
  std::string argument{};  // get_model: its id. to_consumer: the consumer's name. Decoded
  std::string target{};    // path and query of the request to the service
  friend bool operator==(const Route&, const Route&) = default;
};

// `target`: path and query, as in the request line. Doubled slashes and one at the end of the path are
// ignored, except in what follows /c/<consumer> and /v1/models/. `accept`: the request's Accept header;
// browsers, which ask for HTML, are not answered as Ollama's clients at "/". None: not a request for the
// gateway.
std::optional<Route> find_route(std::string_view method, std::string_view target,
                                std::string_view accept = {});

// The paths that need a "model" in the body, for an error message: "/v1/chat/completions, ...".
std::string model_route_list();

// Whether a path (without its query) matches one of a consumer's free_paths, e.g. "/ws" or "/history/*".
bool matches_path(std::string_view pattern, std::string_view path);

// The part of a target before its query.
std::string_view path_without_query(std::string_view target);

}  // namespace mgpu::gateway
