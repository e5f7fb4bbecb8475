#include "gateway/resolve_target.h"

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

Result<void> resolve(GatewayHarness& harness) {
  RequestContext& request = harness.request();
  const Result<void> parsed = parse_request(request);
  return parsed ? harness.run(resolve_target(request)) : parsed;
}

TEST(ResolveTarget, ReadsNoMoreOfTheBodyThanItTakes) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma","messages":[]})");
  ASSERT_TRUE(resolve(harness));
  EXPECT_EQ(harness.request().target.model->name(), "gemma");
  EXPECT_TRUE(harness.request().target.needs_turn);
  EXPECT_EQ(harness.request_pieces.size(), std::string(R"(,"messages":[]})").size());
}

TEST(ResolveTarget, NeedsNoBodyWhereThePathSaysAll) {
  GatewayHarness harness("POST", "/c/chat/prompt", "{}");
  ASSERT_TRUE(resolve(harness));
  EXPECT_FALSE(harness.request().target.model);
  EXPECT_TRUE(harness.request().target.needs_turn);
  EXPECT_EQ(harness.request_pieces.size(), 2U);
}

TEST(ResolveTarget, FreePathsNeedNoTurn) {
  GatewayHarness harness("GET", "/c/chat/history/1");
  harness.config.service.free_paths = {"/history/*"};
  ASSERT_TRUE(resolve(harness));
  EXPECT_FALSE(harness.request().target.needs_turn);
}

TEST(ResolveTarget, AsksTheTableOfTheConsumersService) {
  const auto needs_turn = [](const std::string& method, const std::string& target, bool is_warm) {
    GatewayHarness harness(method, target, method == "POST" ? "{}" : "");
    harness.config.service.type = config::ServiceType::llama_server;
    harness.is_warm = is_warm;
    EXPECT_TRUE(resolve(harness)) << target;
    return harness.request().target.needs_turn;
  };
  EXPECT_TRUE(needs_turn("POST", "/c/chat/completion", true));
  EXPECT_FALSE(needs_turn("GET", "/c/chat/health", false));
  EXPECT_FALSE(needs_turn("DELETE", "/c/chat/v1/stream/1", false));
  EXPECT_FALSE(needs_turn("OPTIONS", "/c/chat/v1/chat/completions", false));
  EXPECT_FALSE(needs_turn("POST", "/c/chat/tokenize", true));
  EXPECT_TRUE(needs_turn("POST", "/c/chat/tokenize", false));
}

TEST(ResolveTarget, SendsNoLookThatWouldLoad) {
  GatewayHarness harness("GET", "/c/chat/slots");
  harness.config.service.type = config::ServiceType::llama_server;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 503);
  EXPECT_NE(harness.response_body.find("mgpu load chat"), std::string::npos) << harness.response_body;
  GatewayHarness warm("GET", "/c/chat/slots");
  warm.config.service.type = config::ServiceType::llama_server;
  warm.is_warm = true;
  warm.serve();
  EXPECT_EQ(warm.response_head.status, 200);
  EXPECT_EQ(warm.leases_given, 0);
}

TEST(ResolveTarget, HeadIsNotSentWhereGetComputes) {
  GatewayHarness harness("HEAD", "/c/chat/render/1");
  harness.config.service.turn_for = {"GET /render/*"};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 405);
  EXPECT_EQ(header(harness.response_head.headers, "Allow"), "GET");
  EXPECT_EQ(harness.forwarded_head.target, "/");
}

TEST(ResolveTarget, NamesTheConsumersThatAreKnown) {
  GatewayHarness harness("GET", "/c/nobody/x");
  const Result<void> resolved = resolve(harness);
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().code, ErrorCode::not_found);
  EXPECT_EQ(resolved.error().detail, "there is no consumer \"nobody\"; known are chat");
}

TEST(ResolveTarget, RefusesAtOnceForAConsumerWithoutAService) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"chat"})");
  harness.config.service.type = config::ServiceType::none;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 501);
  EXPECT_NE(harness.response_body.find("mgpu run --consumer chat"), std::string::npos)
      << harness.response_body;
  EXPECT_EQ(harness.leases_given, 0);
}

}  // namespace
}  // namespace mgpu::gateway
