#include "gateway/authorize.h"

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(Authorize, SaysWhoAsks) {
  GatewayHarness harness("POST", "/c/chat/prompt?secret=1");
  harness.caller.principal.user = "ada";
  ASSERT_TRUE(parse_request(harness.request()));
  ASSERT_TRUE(authorize(harness.request()));
  EXPECT_EQ(harness.request().queue_options.requested_by, "POST /c/chat/prompt from 10.0.0.9");
  EXPECT_EQ(harness.request().queue_options.principal.user, "ada");
}

}  // namespace
}  // namespace mgpu::gateway
