#include "gateway/edit_request.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(EditRequest, WritesTheHeadThatTheServiceGets) {
  GatewayHarness harness("POST", "/c/chat/prompt?x=1", R"({"model":"chat/gemma"})");
  harness.caller.head.headers = {
      {"Host", "us"},  {"X-Forwarded-For", "1.2.3.4"}, {"Connection", "x-hop"}, {"X-Hop", "1"},
      {"Expect", "x"}, {"X-Mgpu-User", "ada"},         {"Accept", "*/*"}};
  const RequestHead& head = harness.edited_request().service_head;
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/prompt?x=1");
  EXPECT_EQ(head.headers, (Headers{{"Accept", "*/*"}, {"X-Forwarded-For", "1.2.3.4, 10.0.0.9"}}));
  EXPECT_EQ(head.length, 22U) << "no name was looked for in this body";
}

TEST(EditRequest, CountsTheReplacedNameInTheLength) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"chat/gemma"})");
  EXPECT_EQ(harness.edited_request().service_head.length, 17U);
  GatewayHarness chunked("POST", kChatPath, R"({"model":"chat/gemma"})");
  chunked.caller.head.length = std::nullopt;
  EXPECT_EQ(chunked.edited_request().service_head.length, std::nullopt);
}

TEST(EditRequest, WritesTheServicesOwnNameIntoTheBody) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"chat/gemma","n":1})");
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma","n":1})");
  EXPECT_EQ(harness.forwarded_head.length, harness.forwarded_body.size());
}

TEST(EditRequest, ForwardsAWebSocketUpgrade) {
  GatewayHarness harness("GET", "/c/chat/ws");
  harness.caller.head.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  harness.service_response = {.status = 101,
                              .headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}}};
  harness.serve();
  EXPECT_EQ(header(harness.forwarded_head.headers, "Upgrade"), "websocket");
  EXPECT_EQ(header(harness.forwarded_head.headers, "Connection"), "Upgrade");
  EXPECT_EQ(harness.response_head.status, 101);
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
}

// `curl --http2` and Java's HttpClient offer h2c and expect a normal response.
TEST(EditRequest, DropsAnUpgradeThatTheServiceDoesNotTake) {
  for (const std::string protocol : {"h2c", "websocket", "TLS/1.0"}) {
    GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
    harness.caller.head.headers = {
        {"Upgrade", protocol}, {"Connection", "Upgrade, HTTP2-Settings"}, {"HTTP2-Settings", "x"}};
    harness.serve();
    EXPECT_EQ(header(harness.forwarded_head.headers, "Upgrade"), "") << protocol;
    EXPECT_EQ(header(harness.forwarded_head.headers, "HTTP2-Settings"), "");
    EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma"})");
    EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
  }
  GatewayHarness ollama("GET", "/c/chat/ws");
  ollama.config.service.type = config::ServiceType::ollama;
  ollama.caller.head.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  ollama.serve();
  EXPECT_EQ(header(ollama.forwarded_head.headers, "Upgrade"), "") << "it has no WebSockets";
}

}  // namespace
}  // namespace mgpu::gateway
