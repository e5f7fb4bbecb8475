#include "gateway/request_body.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(RequestBody, CanBeReplayedWhileMemoryHoldsItAll) {
  GatewayHarness harness("POST", kChatPath);
  harness.limits.body_memory = Bytes{4};
  RequestBody& body = harness.request().body;
  ASSERT_TRUE(body.pass_chunk("abcd"));
  EXPECT_FALSE(body.can_replay()) << "more may come";
  ASSERT_TRUE(body.pass_chunk(""));
  EXPECT_TRUE(body.is_complete());
  EXPECT_TRUE(body.can_replay());
  EXPECT_EQ(*body.buffer().read_next(10), "abcd");

  RequestBody larger(harness.limits, std::make_shared<BodyBudget>(BodyBudget{.memory_left = 100}));
  for (const char* chunk : {"abcd", "e", ""}) ASSERT_TRUE(larger.pass_chunk(chunk));
  EXPECT_FALSE(larger.can_replay());
}

TEST(RequestBody, CountsEveryByteAgainstItsLimit) {
  GatewayHarness harness("POST", kChatPath);
  harness.limits.max_body = Bytes{5};
  RequestBody& body = harness.request().body;
  ASSERT_TRUE(body.pass_chunk("abcde"));
  const Result<void> passed = body.pass_chunk("f");
  ASSERT_FALSE(passed);
  EXPECT_EQ(passed.error().code, ErrorCode::too_large);
}

TEST(RequestBody, HasNoLimitWhereItIsLifted) {
  GatewayHarness harness("POST", kChatPath);
  harness.limits.max_body = Bytes{5};
  RequestBody& body = harness.request().body;
  body.lift_limit();
  EXPECT_TRUE(body.pass_chunk("abcdef"));
}

TEST(RequestBody, OverItsLimitIsRefusedBeforeAndDuringTheTurn) {
  GatewayHarness early("POST", kChatPath, R"({"messages":"0123456789","model":"gemma"})");
  early.limits.max_body = Bytes{20};
  early.serve();
  EXPECT_EQ(early.response_head.status, 413);
  GatewayHarness late("POST", kChatPath, R"({"model":"gemma","messages":"0123456789"})");
  late.limits.max_body = Bytes{25};
  late.limits.body_memory = Bytes{18};
  late.service_hangs = true;
  late.serve();
  EXPECT_EQ(late.response_head.status, 413);
  EXPECT_TRUE(late.aborted);
  EXPECT_EQ(late.suspect_reason, "");
}

}  // namespace
}  // namespace mgpu::gateway
