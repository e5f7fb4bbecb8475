#include "gateway/send_body.h"

#include <chrono>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(SendBody, AnUploadThatDripsLosesItsTurn) {
  GatewayHarness harness("POST", kChatPath,
                         R"({"model":"gemma","much":"........................................"})");
  harness.limits.body_memory = Bytes{20};
  harness.service_hangs = true;
  harness.caller.read = [&, read = harness.caller.read]() -> Awaitable<Result<std::string>> {
    if (harness.leases_given > 0) {
      asio::steady_timer drip(harness.io, std::chrono::milliseconds(900));
      co_await wait_until_cancelled(drip);
    }
    auto reading = read();
    co_return co_await std::move(reading);
  };
  harness.serve_for(std::chrono::seconds(9));
  EXPECT_EQ(harness.response_head.status, 408);
  EXPECT_NE(harness.response_body.find("limits.min_upload_rate"), std::string::npos) << harness.response_body;
  EXPECT_TRUE(harness.aborted);
  EXPECT_EQ(harness.suspect_reason, "");
}

TEST(SendBody, AnUploadThatStopsLosesItsTurn) {
  GatewayHarness harness("POST", kChatPath,
                         R"({"model":"gemma","much":"........................................"})");
  harness.limits.body_memory = Bytes{20};
  harness.service_hangs = true;
  asio::steady_timer never(harness.io, asio::steady_timer::time_point::max());
  harness.caller.read = [&, read = harness.caller.read]() -> Awaitable<Result<std::string>> {
    if (harness.leases_given > 0) co_await wait_until_cancelled(never);
    auto reading = read();
    co_return co_await std::move(reading);
  };
  harness.serve_for(std::chrono::seconds(9));
  EXPECT_EQ(harness.response_head.status, 408);
}

TEST(SendBody, StreamsWhatMemoryDoesNotHold) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma","much":"........................."})");
  harness.limits.body_memory = Bytes{20};
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma","much":"........................."})");
}

}  // namespace
}  // namespace mgpu::gateway
