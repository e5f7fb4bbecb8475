#include "api/api.h"

#include <array>
#include <charconv>
#include <chrono>
#include <utility>

#include "api/openapi.h"
#include "api/status.h"
#include "base/response_headers.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

asio::awaitable<Answer> healthz(Desk& desk, Call, Outlet) {
  if (desk.engine.world().draining) co_return json_reply({{"status", "draining"}}, 503);
  co_return json_reply({{"status", "ok"}});
}

asio::awaitable<Answer> version(Desk& desk, Call, Outlet) {
  co_return json_reply({{"name", "mgpu"}, {"version", desk.version}});
}

asio::awaitable<Answer> openapi(Desk&, Call, Outlet) {
  co_return Reply{.content_type = "application/yaml", .body = std::string(kOpenapi)};
}

asio::awaitable<Answer> status(Desk& desk, Call, Outlet) {
  const std::uint64_t dropped = desk.log_lines_dropped ? desk.log_lines_dropped() : 0;
  co_return json_reply(status_json(desk.engine, desk.version, desk.started, dropped, desk.starts));
}

asio::awaitable<Answer> consumers(Desk& desk, Call, Outlet) {
  co_return json_reply({{"consumers", consumers_json(desk.engine)}});
}

asio::awaitable<Answer> consumer(Desk& desk, Call call, Outlet) {
  const auto id = consumer_in(call, desk.engine);
  if (!id) co_return std::unexpected(id.error());
  Json json = consumer_json(desk.engine, *id);
  json["log"] = desk.engine.log_tail(*id);
  co_return json_reply(json);
}

asio::awaitable<Answer> line(Desk& desk, Call, Outlet) {
  co_return json_reply({{"line", line_json(desk.engine, desk.starts)}});
}

asio::awaitable<Answer> cancel_ticket(Desk& desk, Call call, Outlet) {
  const auto id = number_in(call, "ticket");
  if (!id) co_return std::unexpected(id.error());
  if (auto cancelled = desk.engine.cancel(TicketId{*id}, "an operator removed it"); !cancelled)
    co_return std::unexpected(cancelled.error());
  co_return json_reply({{"ticket", *id}, {"cancelled", true}});
}

constexpr std::array kRoutes{
    Route{"GET", "/healthz", healthz},
    Route{"GET", "/v1/version", version},
    Route{"GET", "/v1/openapi.yaml", openapi},
    Route{"GET", "/v1/status", status},
    Route{"GET", "/v1/consumers", consumers},
    Route{"GET", "/v1/consumers/{name}", consumer},
    Route{"POST", "/v1/consumers/{name}/load", load_consumer},
    Route{"POST", "/v1/consumers/{name}/unload", unload_consumer},
    Route{"POST", "/v1/consumers/{name}/park", park_consumer},
    Route{"GET", "/v1/footprints", list_footprints},
    Route{"DELETE", "/v1/footprints/{name}", forget_footprint},
    Route{"GET", "/v1/line", line},
    Route{"DELETE", "/v1/line/{ticket}", cancel_ticket},
    Route{"GET", "/v1/tickets/{ticket}/explanation", explain_ticket},
    Route{"GET", "/v1/explain/next", explain_next},
    Route{"GET", "/v1/leases", list_leases},
    Route{"POST", "/v1/leases", take_lease},
    Route{"DELETE", "/v1/leases/{id}", release_lease},
    Route{"POST", "/v1/leases/{id}/heartbeat", heartbeat},
    Route{"GET", "/v1/events", stream_events},
};

using Arguments = std::map<std::string, std::string>;

// What stands for the {names}; none: another path.
std::optional<Arguments> match(std::string_view pattern, std::string_view path) {
  Arguments arguments;
  while (!pattern.empty() && !path.empty()) {
    // Both begin with '/'.
    const std::string_view expected = pattern.substr(0, pattern.find('/', 1));
    const std::string_view segment = path.substr(0, path.find('/', 1));
    if (expected.starts_with("/{")) {
      if (segment.size() < 2) return std::nullopt;
      arguments[std::string(expected.substr(2, expected.size() - 3))] = percent_decoded(segment.substr(1));
    } else if (expected != segment) {
      return std::nullopt;
    }
    pattern.remove_prefix(expected.size());
    path.remove_prefix(segment.size());
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return arguments;
}

// The route and its arguments; otherwise the reply that says why there is none.
std::expected<Handler, Reply> find_route(Call& call) {
  std::string allowed;
  for (const Route& route : kRoutes) {
    auto arguments = match(route.path, call.path);
    if (!arguments) continue;
    if (route.method == call.method || (route.method == "GET" && call.method == "HEAD")) {
      call.arguments = std::move(*arguments);
      return route.handler;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  if (allowed.empty()) return std::unexpected(error_reply({ErrorCode::not_found, "nothing at " + call.path}));
  Reply reply =
      error_reply({ErrorCode::invalid_request, call.path + " wants " + allowed + ", not " + call.method});
  reply.status = 405;
  reply.headers.emplace_back("Allow", allowed);
  return std::unexpected(reply);
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

bool takes(std::string_view path) {
  for (const Route& route : kRoutes)
    if (match(route.path, path)) return true;
  return false;
}

std::vector<std::pair<std::string, std::string>> timing_headers(TicketId ticket, Duration waited,
                                                                Duration loading) {
  return {{"X-Mgpu-Ticket", std::to_string(ticket.value)},
          {"Server-Timing", server_timing_header(waited, loading, Duration{0})}};
}

Reply json_reply(const Json& json, int status) { return {.status = status, .body = dump(json) + "\n"}; }

Reply error_reply(const Error& error) {
  Reply reply = json_reply(error_json(error), http_status(error.code));
  if (auto advice = retry_after_header(error)) reply.headers.emplace_back("Retry-After", *std::move(advice));
  return reply;
}

Result<ConsumerId> consumer_in(const Call& call, const engine::Engine& engine) {
  const std::string& name = call.arguments.at("name");
  if (const auto id = engine.find_consumer(name)) return *id;
  std::string known;
  for (const ConsumerState& consumer : engine.world().registry.consumers)
    known += (known.empty() ? "" : ", ") + consumer.spec.name;
  return fail(ErrorCode::not_found,
              "no consumer \"" + name + "\"; known: " + (known.empty() ? "none" : known));
}

Result<std::uint64_t> number_in(const Call& call, const std::string& argument) {
  const std::string& text = call.arguments.at(argument);
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec == std::errc{} && read.ptr == text.data() + text.size()) return number;
  return fail(ErrorCode::not_found, "\"" + text + "\" is no " + argument + ": a number is");
}

Api::Api(engine::Engine& engine, asio::any_io_executor executor, std::string version,
         std::function<std::uint64_t()> log_lines_dropped)
    : leases_(executor, engine.config().limits.max_leases),
      notifier_(engine.journal()),
      events_(executor, engine, notifier_, engine.config().limits.event_subscribers),
      desk_{.engine = engine,
            .leases = leases_,
            .notifier = notifier_,
            .events = events_,
            .starts = starts_,
            .executor = executor,
            .version = std::move(version),
            .started = to_rfc3339(std::chrono::system_clock::now()),
            .log_lines_dropped = std::move(log_lines_dropped)} {}

asio::awaitable<std::optional<Reply>> Api::answer(Call call, Outlet outlet) {
  const auto handler = find_route(call);
  if (!handler) co_return handler.error();
  if (call.body.size() > kMaxBody)
    co_return error_reply({ErrorCode::too_large, "a body here has at most 64 KiB"});
  Answer answer = co_await (*handler)(desk_, std::move(call), std::move(outlet));
  if (!answer) co_return error_reply(answer.error());
  co_return std::move(*answer);
}

}  // namespace mgpu::api
