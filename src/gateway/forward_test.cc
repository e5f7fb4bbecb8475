#include "gateway/forward.h"

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"
#include "gateway/queue_for_turn.h"

namespace mgpu::gateway {
namespace {

TEST(Forward, MakesOneAttempt) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  RequestContext& request = harness.edited_request();
  ASSERT_TRUE(harness.run(queue_for_turn(request)));
  ASSERT_TRUE(harness.run(forward(request)));
  EXPECT_EQ(harness.forwarded_body, kChatBody);
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
  EXPECT_FALSE(request.attempt.upstream) << "its connection may be used again";
  EXPECT_FALSE(harness.aborted);
  EXPECT_EQ(harness.leases_held, 1) << "account() gives it back";
}

TEST(Forward, StopsWorkThatTakesTooLong) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.limits.run_limit = Duration{20'000};
  harness.service_hangs = true;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_NE(harness.response_body.find("limits.run_limit"), std::string::npos) << harness.response_body;
  EXPECT_TRUE(harness.aborted);
  EXPECT_EQ(harness.suspect_reason, "");
}

TEST(Forward, StopsTheWorkWhenItsLeaseEnds) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_hangs = true;
  harness.serve(
      [&] { harness.notify_lease_ended({ErrorCode::service_down, "the process died: exit code 1"}); });
  EXPECT_TRUE(harness.aborted);
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_NE(harness.response_body.find("exit code 1"), std::string::npos);
}

TEST(Forward, ClosesTheServicesSideWhenTheClientLeaves) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_hangs = true;
  harness.serve([&] { harness.client_disconnects.cancel(); });
  EXPECT_TRUE(harness.aborted);
  EXPECT_TRUE(harness.broken_off);
  EXPECT_EQ(harness.suspect_reason, "");
}

TEST(Forward, SuspectsAServiceThatCannotBeReachedOrHangsUp) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_reachable = false;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_EQ(harness.suspect_reason, "connection refused");
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "7");
  GatewayHarness silent("POST", kChatPath, R"({"model":"gemma"})");
  silent.service_responds = false;
  silent.serve();
  EXPECT_EQ(silent.response_head.status, 502);
  EXPECT_EQ(silent.suspect_reason, "it hung up");
}

}  // namespace
}  // namespace mgpu::gateway
