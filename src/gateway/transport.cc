#include "gateway/transport.h"

namespace mgpu::gateway {
namespace {

Upstream make_upstream(std::shared_ptr<http::ClientRequest> outgoing) {
  return {.send = [outgoing](std::string piece) { return outgoing->send(std::move(piece)); },
          .end_body = [outgoing] { return outgoing->end_body(); },
          .read_response_head = [outgoing] { return outgoing->read_response_head(); },
          .read = [outgoing] { return outgoing->read(); },
          .abort = [outgoing] { outgoing->abort(); },
          .shutdown_send = [outgoing] { outgoing->shutdown_send(); },
          .was_resent = [outgoing] { return outgoing->was_resent(); }};
}

Awaitable<Result<Upstream>> open_upstream(http::Client& client, http::Endpoint endpoint, RequestHead head) {
  auto outgoing = co_await client.open(std::move(endpoint), std::move(head));
  if (!outgoing) co_return std::unexpected(outgoing.error());
  co_return make_upstream(std::move(*outgoing));
}

}  // namespace

Awaitable<Result<void>> send_json(Caller& caller, int status, std::string body, Headers headers) {
  headers.emplace_back("Content-Type", "application/json");
  co_return co_await send_response(caller, status, std::move(body), std::move(headers));
}

Awaitable<Result<void>> send_response(Caller& caller, int status, std::string body, Headers headers) {
  ResponseHead head{.status = status, .headers = std::move(headers), .length = body.size()};
  Result<void> sent = co_await caller.send_head(std::move(head));
  if (sent && caller.head.method != "HEAD") sent = co_await caller.write(std::move(body));
  co_return sent;
}

Caller make_caller(http::Exchange& exchange, Principal principal) {
  return {.head = exchange.head(),
          .principal = std::move(principal),
          .read = [&exchange] { return exchange.read(); },
          .lift_body_limit = [&exchange] { exchange.lift_body_limit(); },
          .send_head = [&exchange](ResponseHead head) { return exchange.send_head(std::move(head)); },
          .write = [&exchange](std::string piece) { return exchange.write(std::move(piece)); },
          .finish = [&exchange] { return exchange.finish(); },
          .abort = [&exchange] { exchange.abort(); },
          .wait_until_disconnected = [&exchange] { return exchange.wait_until_disconnected(); }};
}

Connector make_connector(http::Client& client) {
  return [&client](http::Endpoint endpoint, RequestHead head) {
    return open_upstream(client, std::move(endpoint), std::move(head));
  };
}

}  // namespace mgpu::gateway
