#include "gateway/route.h"

#include <algorithm>
#include <array>

#include "gateway/form_scanner.h"

namespace mgpu::gateway {
namespace {

struct Row {
  std::string_view method;
  std::string_view path;  // a trailing * matches the rest, which is not empty
  Protocol protocol;
  Purpose purpose;
};

constexpr std::array kRows{
    Row{"POST", "/v1/chat/completions", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/completions", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/responses", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/embeddings", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/rerank", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/rerank", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/audio/transcriptions", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/audio/translations", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/audio/speech", Protocol::openai, Purpose::needs_turn},
    Row{"POST", "/v1/images/*", Protocol::openai, Purpose::needs_turn},
    Row{"GET", "/v1/models", Protocol::openai, Purpose::list_models},
    Row{"GET", "/v1/models/*", Protocol::openai, Purpose::one_model},
    Row{"POST", "/api/chat", Protocol::ollama, Purpose::needs_turn},
    Row{"POST", "/api/generate", Protocol::ollama, Purpose::needs_turn},
    Row{"POST", "/api/embed", Protocol::ollama, Purpose::needs_turn},
    Row{"POST", "/api/embeddings", Protocol::ollama, Purpose::needs_turn},
    Row{"GET", "/api/tags", Protocol::ollama, Purpose::ollama_tags},
    Row{"GET", "/api/ps", Protocol::ollama, Purpose::ollama_ps},
    Row{"GET", "/api/version", Protocol::ollama, Purpose::ollama_version},
    Row{"POST", "/api/show", Protocol::ollama, Purpose::ollama_show},
};

constexpr std::string_view kConsumerPrefix = "/c/";

bool accepts(std::string_view wanted, std::string_view method) {
  return method == wanted || (wanted == "GET" && method == "HEAD");
}

bool matches_row(std::string_view pattern, std::string_view path) {
  return matches_path(pattern, path) && !(pattern.ends_with('*') && path.size() < pattern.size());
}

// Errors of /c/chat/v1/chat/completions are read by the same clients as those of /v1/chat/completions.
Protocol protocol_of(std::string_view path) {
  auto row =
      std::ranges::find_if(kRows, [path](const Row& candidate) { return matches_row(candidate.path, path); });
  return row == kRows.end() ? Protocol::plain : row->protocol;
}

Route to_consumer(std::string_view target) {
  std::string_view rest = target.substr(kConsumerPrefix.size());
  std::size_t name_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string wanted(rest.substr(name_end));
  if (!wanted.starts_with('/')) wanted.insert(0, "/");
  Protocol protocol = protocol_of(path_of(wanted));
  return {protocol, Purpose::to_consumer, percent_decoded(rest.substr(0, name_end), false), wanted};
}

}  // namespace

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool matches_path(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with('*')) return pattern == path;
  return path.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::optional<Route> route_of(std::string_view method, std::string_view target) {
  if (target.starts_with(kConsumerPrefix)) return to_consumer(target);
  std::string_view path = path_of(target);
  for (const Row& row : kRows) {
    if (!matches_row(row.path, path)) continue;
    if (!accepts(row.method, method))
      return Route{row.protocol, Purpose::wrong_method, std::string(row.method), std::string(target)};
    Route route{row.protocol, row.purpose, {}, std::string(target)};
    if (row.purpose == Purpose::one_model)
      route.argument = percent_decoded(path.substr(row.path.size() - 1), false);
    return route;
  }
  return std::nullopt;
}

std::string routes_that_name_a_model() {
  std::string list;
  for (const Row& row : kRows) {
    if (row.purpose != Purpose::needs_turn && row.purpose != Purpose::ollama_show) continue;
    if (!list.empty()) list += ", ";
    list += row.path;
  }
  return list;
}

}  // namespace mgpu::gateway
