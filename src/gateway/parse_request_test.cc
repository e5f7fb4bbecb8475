#include "gateway/parse_request.h"

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(ParseRequest, ReadsRouteAndQueueOptions) {
  GatewayHarness harness("POST", "/api/chat");
  harness.caller.head.headers = {{"X-Mgpu-Priority", "batch"}, {"X-Mgpu-Wait-Limit", "3s"}};
  ASSERT_TRUE(parse_request(harness.request()));
  EXPECT_EQ(harness.request().route, (Route{Protocol::ollama, RouteKind::needs_turn, "", "/api/chat"}));
  EXPECT_EQ(harness.request().queue_options.priority, Priority::batch);
  EXPECT_EQ(harness.request().queue_options.wait_limit, std::chrono::seconds(3));
}

TEST(ParseRequest, KnowsTheProtocolOfARequestWithAWrongHeader) {
  GatewayHarness harness("POST", "/api/chat");
  harness.caller.head.headers = {{"X-Mgpu-Deadline", "soon"}};
  const Result<void> parsed = parse_request(harness.request());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::invalid_request);
  EXPECT_EQ(harness.request().route.protocol, Protocol::ollama);
}

TEST(ParseRequest, IgnoresQueueOptionsOfWhatIsAnsweredHere) {
  GatewayHarness harness("GET", "/v1/models");
  harness.caller.head.headers = {{"X-Mgpu-Priority", "urgent"}};
  EXPECT_TRUE(parse_request(harness.request()));
}

TEST(ParseRequest, RefusesAnUnknownPriority) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.caller.head.headers.emplace_back("X-Mgpu-Priority", "urgent");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 400);
  EXPECT_NE(harness.response_body.find("X-Mgpu-Priority: \\\"urgent\\\" is not one of realtime"),
            std::string::npos)
      << harness.response_body;
}

}  // namespace
}  // namespace mgpu::gateway
