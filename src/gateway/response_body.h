// The response bodies that the gateway writes itself, in the client's protocol: errors instead of or within a
// response, and OpenAI's listings of AI models. Ollama's are in ollama_body.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "domain/ai_model_facts.h"
#include "gateway/route.h"

namespace mgpu::gateway {

// OpenAI {"error":{"message","type","param","code"}}, Ollama {"error":"..."}, Anthropic
// {"type":"error","error":{"type","message"}}, mgpu
// {"error":{"code","message"}}; `code` is the wire name of the error code. The status is
// http_status(error.code).
std::string error_body(Protocol protocol, const Error& error);

// An error after the head was sent, as the last piece of the body. Empty if the response's Content-Type can't
// carry one: then the connection is aborted, so that clients detect the incomplete response.
std::string error_in_stream(std::string_view content_type, Protocol protocol, const Error& error);

// One AI model, or one name of a consumer.
struct ListedModel {
  std::string id{};
  std::string owner{};  // the consumer
  Bytes footprint{};
  bool warm = false;
  bool is_alias = false;                // another name of the consumer: of the same AI model as its own name
  std::int64_t expires_ms = 0;          // warm: Unix time of its eviction if it stays idle; 0: never
  std::optional<AiModelFacts> facts{};  // where files or the service tell them
};

// GET /v1/models, GET /v1/models/{id}. `created` is a Unix time in seconds.
std::string models_body(const std::vector<ListedModel>& listed, std::int64_t created);
std::string model_body(const ListedModel& listed, std::int64_t created);

}  // namespace mgpu::gateway
