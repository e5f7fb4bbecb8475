#include "gateway/wire.h"

namespace mgpu::gateway {
namespace {

Upstream upstream_of(std::shared_ptr<http::ClientRequest> outgoing) {
  return {.send = [outgoing](std::string piece) { return outgoing->send(std::move(piece)); },
          .end_body = [outgoing] { return outgoing->end_body(); },
          .answer = [outgoing] { return outgoing->read_response_head(); },
          .read = [outgoing] { return outgoing->read(); },
          .abort = [outgoing] { outgoing->abort(); },
          .shutdown_send = [outgoing] { outgoing->shutdown_send(); },
          .resent = [outgoing] { return outgoing->was_resent(); }};
}

Awaitable<Result<Upstream>> open(http::Client& client, engine::Endpoint endpoint, RequestHead head) {
  http::HostPort where{.host = endpoint.host, .port = endpoint.port};
  head.headers.emplace(head.headers.begin(), "Host", http::format_host_port(endpoint.host, endpoint.port));
  head.target.insert(0, endpoint.path);
  auto outgoing = co_await client.open(std::move(where), std::move(head));
  if (!outgoing) co_return std::unexpected(outgoing.error());
  co_return upstream_of(std::move(*outgoing));
}

}  // namespace

Caller caller_of(http::Exchange& exchange) {
  return {.head = exchange.head(),
          .address = exchange.peer_address(),
          .read = [&exchange] { return exchange.read(); },
          .begin = [&exchange](ResponseHead head) { return exchange.send_head(std::move(head)); },
          .write = [&exchange](std::string piece) { return exchange.write(std::move(piece)); },
          .finish = [&exchange] { return exchange.finish(); },
          .break_off = [&exchange] { exchange.abort(); },
          .gone = [&exchange] { return exchange.wait_until_disconnected(); }};
}

Connect connect_through(http::Client& client) {
  return [&client](engine::Endpoint endpoint, RequestHead head) {
    return open(client, std::move(endpoint), std::move(head));
  };
}

}  // namespace mgpu::gateway
