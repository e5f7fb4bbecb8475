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
