#include "daemon/request_dispatch.h"

#include <memory>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <spdlog/spdlog.h>

#include "auth/authenticate.h"
#include "auth/browser_guard.h"

namespace mgpu::daemon {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;  // NOLINT(misc-unused-using-decls): used below

asio::awaitable<void> send_reply(http::Exchange& exchange, api::ApiResponse reply) {
  http::Headers headers = std::move(reply.headers);
  headers.emplace_back("Content-Type", std::move(reply.content_type));
  std::string body = std::move(reply.body);
  const auto sent = co_await http::send_response(exchange, reply.status, std::move(headers), std::move(body));
  if (!sent) exchange.abort();
}

asio::awaitable<void> send_error(http::Exchange& exchange, Error error) {
  api::ApiResponse reply = api::error_response(error);
  co_await send_reply(exchange, std::move(reply));
}

asio::awaitable<Result<void>> begin_stream(http::Exchange& exchange, api::ApiResponse reply) {
  http::ResponseHead head{
      .status = reply.status, .headers = std::move(reply.headers), .length = std::nullopt};
  head.headers.emplace_back("Content-Type", std::move(reply.content_type));
  std::string first = std::move(reply.body);
  auto begun = co_await exchange.send_head(std::move(head));
  if (begun && !first.empty()) begun = co_await exchange.write(std::move(first));
  co_return begun;
}

// Never throws: a library's surprise becomes a 500 (or the end of a stream), and the daemon goes on.
asio::awaitable<std::optional<api::ApiResponse>> call_api(api::Api& api, api::ApiRequest call,
                                                          api::ResponseStream outlet) {
  try {
    co_return co_await api.handle_request(std::move(call), std::move(outlet));
  } catch (const boost::system::system_error&) {
    co_return std::nullopt;  // cancelled: the client is gone
  } catch (const std::exception& surprise) {
    spdlog::error("control plane: {}", surprise.what());
    co_return api::error_response({ErrorCode::internal, surprise.what()});
  }
}

api::ApiRequest make_api_request(const http::Exchange& exchange, Principal principal, std::string body) {
  const http::RequestHead& head = exchange.head();
  const std::size_t question = head.target.find('?');
  return {.method = head.method,
          .path = head.target.substr(0, question),
          .query = api::parse_query(question == std::string::npos ? "" : head.target.substr(question + 1)),
          .body = std::move(body),
          .last_event_id = std::string(http::header(head.headers, "Last-Event-ID")),
          .peer = exchange.peer_address() + ":" + std::to_string(exchange.peer_port()),
          .principal = std::move(principal)};
}

asio::awaitable<void> serve_control_plane(api::Api& api, http::Exchange& exchange, Principal principal) {
  const Bytes limit{static_cast<std::int64_t>(api::kMaxRequestBody)};
  auto body = co_await http::read_body(exchange, limit);
  if (!body) {
    if (body.error().code == ErrorCode::cancelled) co_return exchange.abort();
    Error why = body.error();
    co_return co_await send_error(exchange, std::move(why));
  }
  bool streaming = false;
  api::ResponseStream outlet{
      .begin =
          [&exchange, &streaming](api::ApiResponse head) {
            streaming = true;
            return begin_stream(exchange, std::move(head));
          },
      .write = [&exchange](std::string piece) { return exchange.write(std::move(piece)); },
      .abort = [&exchange] { exchange.abort(); }};
  auto answered = call_api(api, make_api_request(exchange, std::move(principal), std::move(*body)), outlet);
  auto gone = exchange.wait_until_disconnected();
  auto first = std::move(answered) || std::move(gone);
  auto outcome = co_await std::move(first);
  if (outcome.index() == 1) co_return exchange.abort();
  std::optional<api::ApiResponse> reply = std::move(std::get<0>(outcome));
  if (reply && !streaming)
    co_await send_reply(exchange, std::move(*reply));
  else if (streaming && !reply)
    co_await exchange.finish();
  else
    exchange.abort();
}

Error not_found_error(std::string_view path) {
  return {ErrorCode::not_found,
          "nothing at " + std::string(path) +
              "; entrances: /v1/status, /v1/consumers, /v1/line, /v1/leases, /v1/events, /v1/openapi.yaml, "
              "/healthz, /v1/models, /c/<consumer>/..., " +
              gateway::model_route_list()};
}

Error all_connections_used_error() {
  return {ErrorCode::queue_full,
          "all limits.max_connections are in use; on the few beyond them only the control plane answers",
          std::chrono::seconds(1)};
}

Result<Principal> admit(const config::Config& config, const http::RequestHead& head, std::string address,
                        bool is_data) {
  const auth::Plane plane = is_data ? auth::Plane::data : auth::Plane::control;
  const auth::AllowedSites allowed{.hosts = config.hosts, .origins = config.origins};
  if (Result<void> checked = auth::check_browser_request(head, plane, allowed); !checked)
    return std::unexpected(checked.error());
  return auth::authenticate(head, std::move(address));
}

}  // namespace

asio::awaitable<void> dispatch_request(config::Snapshot config, api::Api& api, gateway::Gateway& gateway,
                                       http::Exchange& exchange) {
  const http::RequestHead& head = exchange.head();
  const std::string_view path = gateway::path_without_query(head.target);
  const bool is_control = api::has_route(path);
  const bool is_data = !is_control && gateway.handles(head);
  Result<Principal> principal = admit(*config, head, exchange.peer_address(), is_data);
  if (!principal) {
    Error why = principal.error();
    auto refusing = is_data ? gateway.refuse(exchange, std::move(why)) : send_error(exchange, std::move(why));
    co_return co_await std::move(refusing);
  }
  if (is_control) co_return co_await serve_control_plane(api, exchange, std::move(*principal));
  if (exchange.is_reserved()) {
    Error all_used = all_connections_used_error();
    auto refusing =
        is_data ? gateway.refuse(exchange, std::move(all_used)) : send_error(exchange, std::move(all_used));
    co_return co_await std::move(refusing);
  }
  if (is_data) co_return co_await gateway.serve(exchange, std::move(*principal));
  Error not_found = not_found_error(path);
  co_await send_error(exchange, std::move(not_found));
}

}  // namespace mgpu::daemon
