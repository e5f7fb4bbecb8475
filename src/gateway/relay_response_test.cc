#include "gateway/relay_response.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(RelayResponse, ReadsOutOfMemoryIntoNoOtherError) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.service_response = {.status = 500, .headers = {{"Content-Type", "text/plain"}}, .length = 8};
  harness.response_pieces = {"no", " idea."};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 500);
  EXPECT_EQ(harness.response_body, "no idea.");
  GatewayHarness blamed("POST", kChatPath, kChatBody);
  blamed.service_response = {.status = 422, .headers = {{"Content-Type", "text/plain"}}, .length = 13};
  blamed.response_pieces = {"out of memory"};
  blamed.serve();
  EXPECT_EQ(blamed.response_head.status, 422) << "what a client did wrong may repeat its words";
  EXPECT_EQ(blamed.response_body, "out of memory");
}

TEST(RelayResponse, HoldsBackNoMoreThanItLooksAt) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.service_response = {.status = 500, .headers = {{"Content-Type", "text/plain"}}};
  harness.response_pieces.assign(40, std::string(4096, 'x'));
  harness.response_pieces.emplace_back("out of memory");  // beyond the part that is checked
  harness.serve();
  EXPECT_EQ(harness.response_body.size(), 40U * 4096 + 13);
}

TEST(RelayResponse, A101ThatTheClientDidNotAskForIsAnError) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_response = {.status = 101, .headers = {{"Upgrade", "h2c"}}};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_TRUE(harness.aborted);
}

TEST(RelayResponse, ThatBreaksOffBeforeItsBodyIsAnErrorThatTheClientIsTold) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.service_response = {.status = 200, .headers = {{"Content-Type", "text/plain"}}, .length = 10};
  harness.response_pieces.clear();
  harness.breaks_in_body = true;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_TRUE(harness.finished);
}

}  // namespace
}  // namespace mgpu::gateway
