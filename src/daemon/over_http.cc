#include "daemon/over_http.h"

#include <memory>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <spdlog/spdlog.h>

namespace mgpu::daemon {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;

asio::awaitable<void> send(http::Exchange& exchange, api::Reply reply) {
  http::Headers headers = std::move(reply.headers);
  headers.emplace_back("Content-Type", std::move(reply.content_type));
  std::string body = std::move(reply.body);
  const auto sent = co_await http::answer(exchange, reply.status, std::move(headers), std::move(body));
  if (!sent) exchange.break_off();
}

asio::awaitable<Result<void>> begin_stream(http::Exchange& exchange, api::Reply reply) {
  http::AnswerHead head{.status = reply.status, .headers = std::move(reply.headers), .length = std::nullopt};
  head.headers.emplace_back("Content-Type", std::move(reply.content_type));
  std::string first = std::move(reply.body);
  auto begun = co_await exchange.begin(std::move(head));
  if (begun && !first.empty()) begun = co_await exchange.write(std::move(first));
  co_return begun;
}

// Never throws: a library's surprise becomes a 500 (or the end of a stream), and the daemon goes on.
asio::awaitable<std::optional<api::Reply>> ask(api::Api& api, api::Call call, api::Outlet outlet) {
  try {
    co_return co_await api.answer(std::move(call), std::move(outlet));
  } catch (const boost::system::system_error&) {
    co_return std::nullopt;  // cancelled: the client is gone
  } catch (const std::exception& surprise) {
    spdlog::error("control plane: {}", surprise.what());
    co_return api::error_reply({Code::internal, surprise.what()});
  }
}

api::Call call_of(const http::Exchange& exchange, std::string body) {
  const http::RequestHead& head = exchange.head();
  const std::size_t question = head.target.find('?');
  return {.method = head.method,
          .path = head.target.substr(0, question),
          .query = api::parse_query(question == std::string::npos ? "" : head.target.substr(question + 1)),
          .body = std::move(body),
          .last_event_id = std::string(http::header(head.headers, "Last-Event-ID")),
          .peer = exchange.address() + ":" + std::to_string(exchange.port())};
}

asio::awaitable<void> control(api::Api& api, http::Exchange& exchange) {
  const Bytes limit{static_cast<std::int64_t>(api::kMaxBody)};
  auto body = co_await http::read_all(exchange, limit);
  if (!body) {
    if (body.error().code == Code::cancelled) co_return exchange.break_off();
    api::Reply refusal = api::error_reply(body.error());
    co_await send(exchange, std::move(refusal));
    co_return;
  }
  bool streaming = false;
  api::Outlet outlet{.begin =
                         [&exchange, &streaming](api::Reply head) {
                           streaming = true;
                           return begin_stream(exchange, std::move(head));
                         },
                     .write = [&exchange](std::string piece) { return exchange.write(std::move(piece)); }};
  auto asked = ask(api, call_of(exchange, std::move(*body)), outlet);
  auto gone = exchange.gone();
  auto first = std::move(asked) || std::move(gone);
  auto outcome = co_await std::move(first);
  if (outcome.index() == 1) co_return exchange.break_off();
  std::optional<api::Reply> reply = std::move(std::get<0>(outcome));
  if (reply && !streaming)
    co_await send(exchange, std::move(*reply));
  else if (streaming && !reply)
    co_await exchange.finish();
  else
    exchange.break_off();
}

asio::awaitable<void> nothing_here(http::Exchange& exchange) {
  api::Reply reply = api::error_reply(
      {Code::not_found, "nothing at " + exchange.head().target.substr(0, exchange.head().target.find('?')) +
                            "; entrances: /v1/status, /v1/consumers, /v1/line, /v1/leases, /v1/events, "
                            "/v1/openapi.yaml, /healthz, /v1/models, /c/<consumer>/..., " +
                            gateway::routes_that_name_a_model()});
  co_await send(exchange, std::move(reply));
}

asio::awaitable<Result<void>> begin_answer(http::Exchange& exchange, gateway::AnswerHead head) {
  http::AnswerHead begun{.status = head.status, .headers = std::move(head.headers), .length = head.length};
  co_return co_await exchange.begin(std::move(begun));
}

// `exchange` outlives it: it lives as long as the handler.
gateway::Caller caller_of(http::Exchange& exchange) {
  const http::RequestHead& head = exchange.head();
  return {
      .head = {.method = head.method, .target = head.target, .headers = head.headers, .length = head.length},
      .address = exchange.address(),
      .read = [&exchange] { return exchange.read(); },
      .begin = [&exchange](gateway::AnswerHead answer) { return begin_answer(exchange, std::move(answer)); },
      .write = [&exchange](std::string piece) { return exchange.write(std::move(piece)); },
      .finish = [&exchange] { return exchange.finish(); },
      .break_off = [&exchange] { exchange.break_off(); },
      .gone = [&exchange] { return exchange.gone(); }};
}

asio::awaitable<Result<gateway::AnswerHead>> answer_of(std::shared_ptr<http::Outgoing> outgoing) {
  auto answer = co_await outgoing->answer();
  if (!answer) co_return std::unexpected(answer.error());
  co_return gateway::AnswerHead{
      .status = answer->status, .headers = std::move(answer->headers), .length = answer->length};
}

asio::awaitable<Result<gateway::Upstream>> connect(http::Client& client, engine::Endpoint where,
                                                   gateway::RequestHead head) {
  http::HostPort host_port{.host = where.host, .port = where.port};
  http::RequestHead asked{.method = std::move(head.method),
                          .target = std::move(head.target),
                          .headers = std::move(head.headers),
                          .length = head.length};
  auto opened = co_await client.open(std::move(host_port), std::move(asked));
  if (!opened) co_return std::unexpected(opened.error());
  // Shared by the upstream's functions, the last of which closes it.
  const std::shared_ptr<http::Outgoing> outgoing = std::move(*opened);
  co_return gateway::Upstream{
      .send = [outgoing](std::string piece) { return outgoing->send(std::move(piece)); },
      .end_body = [outgoing] { return outgoing->end_body(); },
      .answer = [outgoing] { return answer_of(outgoing); },
      .read = [outgoing] { return outgoing->read(); },
      .abort = [outgoing] { outgoing->abort(); }};
}

}  // namespace

asio::awaitable<void> answer_one(api::Api& api, gateway::Gateway& gateway, http::Exchange& exchange) {
  const http::RequestHead& head = exchange.head();
  if (api::takes(gateway::path_of(head.target))) {
    co_await control(api, exchange);
  } else if (gateway.takes(head.method, head.target)) {
    gateway::Caller caller = caller_of(exchange);
    co_await gateway.serve(caller);
  } else {
    co_await nothing_here(exchange);
  }
}

gateway::Connect connect_by(http::Client& client) {
  return [&client](engine::Endpoint where, gateway::RequestHead head) {
    return connect(client, std::move(where), std::move(head));
  };
}

}  // namespace mgpu::daemon
