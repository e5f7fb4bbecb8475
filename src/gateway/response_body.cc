#include "gateway/response_body.h"

#include <nlohmann/json.hpp>

#include "base/ascii.h"

namespace mgpu::gateway {
namespace {

using Json = nlohmann::ordered_json;

// A message may quote bytes from the client that are not valid UTF-8.
std::string dump_json(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// OpenAI's clients distinguish errors by `type`. The names are OpenAI's.
std::string_view openai_error_type(ErrorCode code) {
  int status = http_status(code);
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

// The names are Anthropic's.
std::string_view anthropic_error_type(ErrorCode code) {
  switch (http_status(code)) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 507:
      return "overloaded_error";
    default:
      return http_status(code) < 500 ? "invalid_request_error" : "api_error";
  }
}

// Ollama's command looks for these words: it then pulls the AI model, or has none to stop.
std::string ollama_error_text(const Error& error) {
  constexpr std::string_view kNotFound = "not found";
  if (error.code != ErrorCode::not_found || error.detail.contains(kNotFound)) return error.detail;
  return "not found: " + error.detail;
}

Json error_json(Protocol protocol, const Error& error) {
  switch (protocol) {
    case Protocol::openai:
      return {{"error",
               {{"message", error.detail},
                {"type", openai_error_type(error.code)},
                {"param", nullptr},
                {"code", to_string(error.code)}}}};
    case Protocol::ollama:
      return {{"error", ollama_error_text(error)}};
    case Protocol::anthropic:
      return {{"type", "error"},
              {"error", {{"type", anthropic_error_type(error.code)}, {"message", error.detail}}}};
    case Protocol::plain:
      break;
  }
  return {{"error", {{"code", to_string(error.code)}, {"message", error.detail}}}};
}

Json model_json(const ListedModel& listed, std::int64_t created) {
  return {{"id", listed.id}, {"object", "model"}, {"created", created}, {"owned_by", listed.owner}};
}

}  // namespace

std::string error_body(Protocol protocol, const Error& error) {
  return dump_json(error_json(protocol, error));
}

std::string error_in_stream(std::string_view content_type, Protocol protocol, const Error& error) {
  if (starts_with_ignore_case(content_type, "text/event-stream"))
    return (protocol == Protocol::anthropic ? "event: error\ndata: " : "data: ") +
           dump_json(error_json(protocol, error)) + "\n\n";
  if (starts_with_ignore_case(content_type, "application/x-ndjson"))
    return dump_json(error_json(Protocol::ollama, error)) + "\n";
  return {};
}

std::string models_body(const std::vector<ListedModel>& listed, std::int64_t created) {
  Json data = Json::array();
  for (const ListedModel& one : listed) data.push_back(model_json(one, created));
  return dump_json({{"object", "list"}, {"data", std::move(data)}});
}

std::string model_body(const ListedModel& listed, std::int64_t created) {
  return dump_json(model_json(listed, created));
}

}  // namespace mgpu::gateway
