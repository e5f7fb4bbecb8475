#include "gateway/read_steering.h"

#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "gateway/json_fields.h"
#include "gateway/model_finder.h"

namespace mgpu::gateway {
namespace {

constexpr std::string_view kKeepAlive = "keep_alive";
constexpr std::string_view kForEver = "-1";

// `fields` and `model` have received the whole body.
Awaitable<Result<void>> read_body(RequestContext& request, JsonFields& fields, ModelFinder& model) {
  while (request.caller.head.length != 0) {
    Result<std::string> chunk = co_await request.body.buffer_next_chunk(request.caller);
    if (!chunk) co_return std::unexpected(chunk.error());
    if (chunk->empty()) break;
    fields.feed(*chunk);
    model.feed(*chunk);
  }
  model.finish();
  co_return Result<void>{};
}

// What the client wishes, within what the configuration allows, and what Ollama gets instead.
Result<void> read_wish(RequestContext& request, const JsonFields& fields, const nlohmann::json& values) {
  const auto found = values.find(kKeepAlive);
  const auto wish = service::read_keep_alive(found == values.end() ? nlohmann::json() : *found);
  if (!wish) return std::unexpected(wish.error());
  request.target.keep_alive = *wish;
  if (const auto range = fields.range_of(kKeepAlive))
    request.target.keep_alive_edit = {.range = *range, .replacement = std::string(kForEver)};
  else
    request.target.keep_alive_edit = {.range = fields.range_of_first(),
                                      .replacement = fields.first_member(kKeepAlive, kForEver)};
  return {};
}

}  // namespace

Awaitable<Result<void>> read_steering(RequestContext& request, const config::ServiceConfig& kind,
                                      const service::RequestMatch& match) {
  JsonFields fields(service::kMemoryRequestFields);
  ModelFinder model;
  const Result<void> read = co_await read_body(request, fields, model);
  if (!read) co_return read;
  const nlohmann::json values = fields.is_object() ? fields.values() : nlohmann::json::object();
  auto steers = service::read_memory_request(kind, match, request.route.target, values);
  if (!steers) co_return std::unexpected(steers.error());
  if (*steers) {
    request.target.memory_request = std::move(**steers);
    co_return Result<void>{};
  }
  request.target.meaning = service::RequestMeaning::computes;
  if (model.status() == ScanStatus::invalid) co_return fail(ErrorCode::invalid_request, model.reason());
  if (model.status() == ScanStatus::found) request.target.model = std::move(model);
  if (kind.type != config::ServiceType::ollama || !fields.is_object()) co_return Result<void>{};
  co_return read_wish(request, fields, values);
}

}  // namespace mgpu::gateway
