#include "gateway/forwarding_rules.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

TEST(ForwardingRules, LeavesHopByHopHeadersBehind) {
  EXPECT_TRUE(is_hop_by_hop("Transfer-Encoding", ""));
  EXPECT_TRUE(is_hop_by_hop("X-Mine", "close, x-mine"));
  EXPECT_FALSE(is_hop_by_hop("X-Mine", "x-mine2 , y"));
  EXPECT_FALSE(is_hop_by_hop("Content-Encoding", "keep-alive"));
}

TEST(ForwardingRules, AddsTheClientToForwardedFor) {
  EXPECT_EQ(forwarded_for("", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(forwarded_for("1.2.3.4", "10.0.0.1"), "1.2.3.4, 10.0.0.1");
}

TEST(ForwardingRules, WritesTheNameThatTheServiceKnowsOnlyWhereNeeded) {
  EXPECT_EQ(service_model_name(config::ServiceType::generic, "gemma", "gemma", {}), std::nullopt);
  EXPECT_EQ(service_model_name(config::ServiceType::ollama, "Gemma", "gemma:latest", {}), std::nullopt);
  EXPECT_EQ(service_model_name(config::ServiceType::ollama, "ollama/gemma", "gemma:latest", {}),
            "gemma:latest");
  EXPECT_EQ(service_model_name(config::ServiceType::generic, "chat", "", {"gemma"}), "gemma");
  EXPECT_EQ(service_model_name(config::ServiceType::generic, "gpt-4o-mini", "", {}), std::nullopt);
  EXPECT_EQ(service_model_name(config::ServiceType::generic, "chat", "", {"a", "b"}), std::nullopt);
}

TEST(ForwardingRules, OnlyAWebSocketIsAnUpgrade) {
  const http::RequestHead upgrade{
      .headers = {{"Upgrade", "websocket"}, {"Connection", "keep-alive, Upgrade"}}};
  EXPECT_TRUE(asks_websocket_upgrade(upgrade));
  http::RequestHead other = upgrade;
  other.method = "POST";
  EXPECT_FALSE(asks_websocket_upgrade(other));
  EXPECT_FALSE(asks_websocket_upgrade({.headers = {{"Upgrade", "h2c"}, {"Connection", "Upgrade"}}}));
  EXPECT_FALSE(asks_websocket_upgrade({.headers = {{"Upgrade", "websocket"}}}));
}

}  // namespace
}  // namespace mgpu::gateway
