#include "gateway/cors.h"

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

void make_preflight(GatewayHarness& harness) {
  harness.caller.head.headers = {{"Origin", "app://obsidian.md"},
                                 {"Access-Control-Request-Method", "POST"},
                                 {"Access-Control-Request-Headers", "authorization,x-stainless-os"}};
}

TEST(Cors, APreflightIsAnsweredWithoutTheService) {
  for (const char* target : {"/v1/chat/completions", "/c/chat/v1/chat/completions", "/api/tags"}) {
    GatewayHarness harness("OPTIONS", target);
    make_preflight(harness);
    harness.origins = {"app://*"};
    harness.serve();
    EXPECT_EQ(harness.response_head.status, 204) << target;
    const Headers& headers = harness.response_head.headers;
    EXPECT_EQ(header(headers, "Access-Control-Allow-Origin"), "app://obsidian.md");
    EXPECT_EQ(header(headers, "Access-Control-Allow-Headers"), "authorization,x-stainless-os");
    EXPECT_NE(header(headers, "Access-Control-Allow-Methods").find("POST"), std::string::npos);
    EXPECT_EQ(harness.leases_given, 0);
    EXPECT_TRUE(harness.finished);
  }
}

TEST(Cors, APreflightOfAnotherOriginIsRefused) {
  GatewayHarness harness("OPTIONS", "/v1/chat/completions");
  make_preflight(harness);
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 403);
  EXPECT_EQ(header(harness.response_head.headers, "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(harness.leases_given, 0);
}

TEST(Cors, ResponsesCarryTheHeadersForAnAllowedOrigin) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.caller.head.headers.emplace_back("Origin", "https://page.example");
  harness.service_response.headers.emplace_back("access-control-allow-origin", "*");
  harness.origins = {"https://page.example"};
  harness.serve();
  const Headers& headers = harness.response_head.headers;
  EXPECT_EQ(http::joined_header(headers, "Access-Control-Allow-Origin"), "https://page.example");
  EXPECT_NE(header(headers, "Access-Control-Expose-Headers").find("X-Mgpu-Ticket"), std::string::npos);
  EXPECT_EQ(header(headers, "Vary"), "Origin");
}

TEST(Cors, ErrorsCarryThemToo) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"unknown"})");
  harness.caller.head.headers.emplace_back("Origin", "https://page.example");
  harness.origins = {"*"};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 404);
  EXPECT_EQ(header(harness.response_head.headers, "Access-Control-Allow-Origin"), "https://page.example");
}

TEST(Cors, AServiceCanNotAllowWhatTheConfigurationDoesNot) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.caller.head.headers.emplace_back("Origin", "https://page.example");
  harness.service_response.headers.emplace_back("Access-Control-Allow-Origin", "*");
  harness.serve();
  EXPECT_EQ(header(harness.response_head.headers, "Access-Control-Allow-Origin"), "");
}

TEST(Cors, WithoutAnOriginTheResponseIsUnchanged) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_response.headers.emplace_back("Access-Control-Allow-Origin", "*");
  harness.serve();
  EXPECT_EQ(header(harness.response_head.headers, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(header(harness.response_head.headers, "Vary"), "");
}

}  // namespace
}  // namespace mgpu::gateway
