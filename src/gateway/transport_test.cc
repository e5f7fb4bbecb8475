#include "gateway/transport.h"

#include <chrono>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(Transport, TheUrlsPathStandsBeforeTheRequests) {
  http::RequestHead received;
  asio::io_context io;
  auto service =
      http::Server::start(io, {.listen = {.host = "::1"}}, [&](http::Exchange& exchange) -> Awaitable<void> {
        received = exchange.head();
        http::Headers none;
        std::string nothing;
        co_await http::send_response(exchange, 200, std::move(none), std::move(nothing));
      });
  ASSERT_TRUE(service) << service.error().detail;
  http::Client client(io.get_executor());
  const std::uint16_t port = (*service)->port();
  auto send_request = [](http::Client& through, std::uint16_t where) -> Awaitable<void> {
    Connector connect = make_connector(through);
    http::Endpoint endpoint{.host = "::1", .port = where, .path = "/base"};
    RequestHead head{.target = "/x?y"};
    auto upstream = co_await connect(std::move(endpoint), std::move(head));
    co_await upstream->end_body();
    co_await upstream->read_response_head();
  };
  bool done = false;
  asio::co_spawn(io, send_request(client, port), [&done](std::exception_ptr) { done = true; });
  while (!done && io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(received.target, "/base/x?y");
  EXPECT_EQ(header(received.headers, "Host"), "[::1]:" + std::to_string(port));
}

// Over real sockets: consecutive requests reach the service on one connection.
TEST(Transport, UsesAServicesConnectionAgain) {
  GatewayHarness harness("POST", kChatPath);
  std::set<std::uint16_t> seen_from;
  auto service = http::Server::start(harness.io, {}, [&](http::Exchange& exchange) -> Awaitable<void> {
    seen_from.insert(exchange.peer_port());
    auto received = co_await http::read_body(exchange, kMiB);
    http::Headers plain;
    std::string echoed = received.value_or("");
    co_await http::send_response(exchange, 200, std::move(plain), std::move(echoed));
  });
  ASSERT_TRUE(service);
  EngineApi engine_api = harness.engine_api();
  engine_api.endpoint = [&](ConsumerId) { return std::optional((*service)->endpoint()); };
  http::Client to_service(harness.io.get_executor()), to_us(harness.io.get_executor());
  Gateway gateway(std::move(engine_api), make_connector(to_service));
  auto front = http::Server::start(harness.io, {},
                                   [&](http::Exchange& exchange) { return gateway.serve(exchange, {}); });
  ASSERT_TRUE(front);
  int answered = 0;
  auto send_requests = [](http::Client& client, std::uint16_t port, int& succeeded) -> Awaitable<void> {
    for (const std::string body :
         {R"({"model":"gemma"})", R"({"model":"gemma","n":2})", R"({"model":"gemma"})"}) {
      http::Endpoint where{.host = "127.0.0.1", .port = port};
      RequestHead head{.method = "POST", .target = kChatPath, .headers = {{"Host", "us"}}};
      std::string request_body = body;
      const Duration limit{5'000'000};
      auto got = co_await http::fetch(client, std::move(where), std::move(head), std::move(request_body),
                                      limit, kMiB);
      succeeded += got && got->head.status == 200 && got->body == body ? 1 : 0;
    }
  };
  bool done = false;
  auto requests = send_requests(to_us, (*front)->port(), answered);
  asio::co_spawn(harness.io, std::move(requests), [&done](std::exception_ptr failed) {
    EXPECT_FALSE(failed);
    done = true;
  });
  while (!done && harness.io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(seen_from.size(), 1U);
}

}  // namespace
}  // namespace mgpu::gateway
