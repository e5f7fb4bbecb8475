#include "api/api.h"

#include <array>
#include <chrono>
#include <utility>

#include "api/openapi.h"
#include "api/status.h"
#include "base/response_headers.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

asio::awaitable<HandlerResult> get_health(ApiContext& context, ApiRequest, ResponseStream) {
  if (context.engine.world().draining) co_return json_response({{"status", "draining"}}, 503);
  co_return json_response({{"status", "ok"}});
}

asio::awaitable<HandlerResult> get_version(ApiContext& context, ApiRequest, ResponseStream) {
  co_return json_response({{"name", "mgpu"}, {"version", context.version}});
}

asio::awaitable<HandlerResult> get_openapi(ApiContext&, ApiRequest, ResponseStream) {
  co_return ApiResponse{.content_type = "application/yaml", .body = std::string(kOpenapi)};
}

asio::awaitable<HandlerResult> get_status(ApiContext& context, ApiRequest, ResponseStream) {
  co_return ApiResponse{.body = context.status_cache.status()};
}

asio::awaitable<HandlerResult> list_consumers(ApiContext& context, ApiRequest, ResponseStream) {
  co_return ApiResponse{.body = context.status_cache.consumers()};
}

asio::awaitable<HandlerResult> get_consumer(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto id = consumer_from_path(request, context.engine);
  if (!id) co_return std::unexpected(id.error());
  Json json = consumer_json(context.engine, *id);
  json["log"] = context.engine.log_tail(*id);
  co_return json_response(json);
}

asio::awaitable<HandlerResult> get_line(ApiContext& context, ApiRequest, ResponseStream) {
  co_return ApiResponse{.body = context.status_cache.line()};
}

asio::awaitable<HandlerResult> cancel_ticket(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto id = number_from_path(request, "ticket");
  if (!id) co_return std::unexpected(id.error());
  if (auto cancelled = context.engine.cancel(TicketId{*id}, "an operator removed it"); !cancelled)
    co_return std::unexpected(cancelled.error());
  co_return json_response({{"ticket", *id}, {"cancelled", true}});
}

constexpr std::array kRoutes{
    Route{"GET", "/healthz", get_health},
    Route{"GET", "/v1/version", get_version},
    Route{"GET", "/v1/openapi.yaml", get_openapi},
    Route{"GET", "/v1/status", get_status},
    Route{"GET", "/v1/consumers", list_consumers},
    Route{"GET", "/v1/consumers/{name}", get_consumer},
    Route{"POST", "/v1/consumers/{name}/load", load_consumer},
    Route{"POST", "/v1/consumers/{name}/unload", unload_consumer},
    Route{"POST", "/v1/consumers/{name}/park", park_consumer},
    Route{"GET", "/v1/footprints", list_footprints},
    Route{"DELETE", "/v1/footprints/{name}", forget_footprint},
    Route{"GET", "/v1/line", get_line},
    Route{"DELETE", "/v1/line/{ticket}", cancel_ticket},
    Route{"GET", "/v1/tickets/{ticket}/explanation", explain_ticket},
    Route{"GET", "/v1/explain/next", explain_next},
    Route{"GET", "/v1/leases", list_leases},
    Route{"POST", "/v1/leases", acquire_lease},
    Route{"DELETE", "/v1/leases/{id}", release_lease},
    Route{"POST", "/v1/leases/{id}/heartbeat", renew_lease},
    Route{"GET", "/v1/events", stream_events},
};

using PathArguments = std::map<std::string, std::string>;

// The path's segments in place of the pattern's {names}; none: the path does not match.
std::optional<PathArguments> match_path(std::string_view pattern, std::string_view path) {
  PathArguments arguments;
  while (!pattern.empty() && !path.empty()) {
    // Both begin with '/'.
    const std::string_view expected = pattern.substr(0, pattern.find('/', 1));
    const std::string_view segment = path.substr(0, path.find('/', 1));
    if (expected.starts_with("/{")) {
      if (segment.size() < 2) return std::nullopt;
      arguments[std::string(expected.substr(2, expected.size() - 3))] = percent_decode(segment.substr(1));
    } else if (expected != segment) {
      return std::nullopt;
    }
    pattern.remove_prefix(expected.size());
    path.remove_prefix(segment.size());
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return arguments;
}

// Sets the request's path arguments. Otherwise the response that says why there is no route.
std::expected<RouteHandler, ApiResponse> find_route(ApiRequest& request) {
  std::string allowed;
  for (const Route& route : kRoutes) {
    auto arguments = match_path(route.path, request.path);
    if (!arguments) continue;
    if (route.method == request.method || (route.method == "GET" && request.method == "HEAD")) {
      request.path_arguments = std::move(*arguments);
      return route.handler;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  if (allowed.empty())
    return std::unexpected(error_response(
        {ErrorCode::not_found, "there is no route " + request.path + "; GET /v1/openapi.yaml lists all"}));
  ApiResponse response = error_response(
      {ErrorCode::invalid_request, request.path + " takes " + allowed + ", not " + request.method});
  response.status = 405;
  response.headers.emplace_back("Allow", allowed);
  return std::unexpected(response);
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

bool has_route(std::string_view path) {
  for (const Route& route : kRoutes)
    if (match_path(route.path, path)) return true;
  return false;
}

std::vector<std::pair<std::string, std::string>> timing_headers(TicketId ticket, Duration waited,
                                                                Duration loading) {
  return {{"X-Mgpu-Ticket", std::to_string(ticket.value)},
          {"Server-Timing", server_timing_header(waited, loading, Duration{0})}};
}

ApiResponse json_response(const Json& json, int status) {
  return {.status = status, .body = json_body(json)};
}

ApiResponse error_response(const Error& error) {
  ApiResponse response = json_response(error_json(error), http_status(error.code));
  if (auto advice = retry_after_header(error))
    response.headers.emplace_back("Retry-After", *std::move(advice));
  return response;
}

Result<ConsumerId> consumer_from_path(const ApiRequest& request, const engine::Engine& engine) {
  const std::string& name = request.path_arguments.at("name");
  if (const auto id = engine.find_consumer(name)) return *id;
  std::string known;
  for (const ConsumerState& consumer : engine.world().registry.consumers)
    known += (known.empty() ? "" : ", ") + consumer.spec.name;
  return fail(ErrorCode::not_found,
              "no consumer \"" + name + "\"; known: " + (known.empty() ? "none" : known));
}

Result<std::uint64_t> number_from_path(const ApiRequest& request, const std::string& argument) {
  const std::string& text = request.path_arguments.at(argument);
  if (const auto number = parse_number(text)) return *number;
  return fail(ErrorCode::not_found,
              "the " + argument + " in the path is \"" + text + "\", which is not a number");
}

Api::Api(engine::Engine& engine, asio::any_io_executor executor, std::string version,
         std::function<std::uint64_t()> log_lines_dropped)
    : leases_(executor, engine.config()->limits.max_leases),
      notifier_(engine.journal()),
      events_(executor, engine, notifier_, engine.config()->limits.event_subscribers),
      start_estimates_(engine),
      status_cache_(engine, start_estimates_,
                    {.version = version,
                     .started = to_rfc3339(std::chrono::system_clock::now()),
                     .log_lines_dropped = std::move(log_lines_dropped)}),
      context_{.engine = engine,
               .leases = leases_,
               .notifier = notifier_,
               .events = events_,
               .start_estimates = start_estimates_,
               .status_cache = status_cache_,
               .executor = executor,
               .version = std::move(version)} {}

asio::awaitable<std::optional<ApiResponse>> Api::handle_request(ApiRequest request, ResponseStream stream) {
  const auto handler = find_route(request);
  if (!handler) co_return handler.error();
  if (request.body.size() > kMaxRequestBody)
    co_return error_response(
        {ErrorCode::too_large, "the body has " + std::to_string(request.body.size()) +
                                   " bytes, more than the 64 KiB that are allowed here"});
  HandlerResult result = co_await (*handler)(context_, std::move(request), std::move(stream));
  if (!result) co_return error_response(result.error());
  co_return std::move(*result);
}

}  // namespace mgpu::api
