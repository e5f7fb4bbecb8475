#include "gateway/gateway.h"

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(Gateway, CarriesARequestThroughTheLineAndItsResponseBack) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma","messages":[]})");
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma","messages":[]})");
  EXPECT_EQ(harness.forwarded_head.target, kChatPath);
  EXPECT_EQ(harness.forwarded_head.length, 31U);
  EXPECT_EQ(harness.forwarded_head.headers,
            (Headers{{"Authorization", "key"}, {"X-Forwarded-For", "10.0.0.9"}}));
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(harness.finished);
  EXPECT_FALSE(harness.broken_off);
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "7");
  EXPECT_TRUE(header(harness.response_head.headers, "Server-Timing")
                  .starts_with("queue;dur=1.0, load;dur=1.0, run;dur="));
}

TEST(Gateway, TakesHeadersAboutTheLineForItself) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.caller.head.headers.emplace_back("X-Mgpu-Priority", "batch");
  harness.caller.head.headers.emplace_back("x-mgpu-user", "ada");
  harness.caller.principal.user = "ada";
  harness.serve();
  EXPECT_EQ(harness.requested_options.priority, Priority::batch);
  EXPECT_EQ(harness.requested_options.principal.user, "ada");
  EXPECT_EQ(harness.requested_options.requested_by, "POST /v1/chat/completions from 10.0.0.9");
  EXPECT_EQ(harness.forwarded_head.headers,
            (Headers{{"Authorization", "key"}, {"X-Forwarded-For", "10.0.0.9"}}));
}

}  // namespace
}  // namespace mgpu::gateway
