// The response bodies that the gateway writes itself, in the client's protocol: errors instead of or within a
// response, and the listings of AI models.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
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
};

// GET /v1/models, GET /v1/models/{id}. `created` is a Unix time in seconds.
std::string models_body(const std::vector<ListedModel>& listed, std::int64_t created);
std::string model_body(const ListedModel& listed, std::int64_t created);

// GET /api/tags, GET /api/ps (`expires_at` RFC 3339), POST /api/show for a service that is not up.
std::string tags_body(const std::vector<ListedModel>& listed, std::string_view modified_at);
std::string ps_body(const std::vector<ListedModel>& listed, std::string_view expires_at);
std::string show_body(const ListedModel& listed, std::string_view modified_at);

}  // namespace mgpu::gateway
