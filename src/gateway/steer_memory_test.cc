#include "gateway/steer_memory.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

using nlohmann::json;

constexpr Duration kSecond{1'000'000};

TEST(SteerMemory, AnUnloadIsCarriedOutAndNotForwarded) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","keep_alive":0})");
  harness.is_warm = true;
  harness.serve();
  EXPECT_EQ(harness.unload_waits, std::vector{engine::UnloadWait::unless_in_use});
  EXPECT_EQ(json::parse(harness.response_body)["done_reason"], "unload");
  EXPECT_EQ(json::parse(harness.response_body)["model"], "gemma");
  EXPECT_EQ(harness.leases_given, 0);
  EXPECT_EQ(harness.forwarded_body, "");
  EXPECT_TRUE(harness.finished);
}

TEST(SteerMemory, AnUnloadOfWhatIsNotLoadedIsAnsweredAtOnce) {
  GatewayHarness harness("POST", "/c/chat/models/unload", R"({"model":"gemma"})");
  harness.config.service = {.type = config::ServiceType::llama_server, .router = true};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 400) << "the router's own answer";
  EXPECT_NE(harness.response_body.find("model is not running"), std::string::npos);
  EXPECT_EQ(harness.leases_given, 0);
}

TEST(SteerMemory, AnUnloadEndsItsWaitWithItsClient) {
  GatewayHarness harness("POST", "/c/chat/sleep?level=1");
  harness.config.service.type = config::ServiceType::vllm;
  harness.never_unloaded = true;
  harness.serve([&] { harness.client_disconnects.cancel(); });
  EXPECT_EQ(harness.unload_waits, std::vector{engine::UnloadWait::until_unloaded});
  EXPECT_TRUE(harness.broken_off);
}

TEST(SteerMemory, ARefusedUnloadIsAnErrorInTheClientsProtocol) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","keep_alive":0})");
  harness.refusal = Error{ErrorCode::busy, "chat is pinned"};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 409);
  EXPECT_EQ(json::parse(harness.response_body)["error"], "chat is pinned");
}

TEST(SteerMemory, ALoadIsATicketUntilItIsWarm) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","keep_alive":"1h"})");
  harness.serve();
  EXPECT_EQ(harness.leases_given, 1);
  EXPECT_TRUE(harness.requested_options.is_load);
  EXPECT_EQ(harness.keep_alives, std::vector{3600 * kSecond});
  EXPECT_EQ(json::parse(harness.response_body)["done_reason"], "load");
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "7");
  EXPECT_EQ(harness.forwarded_body, "");
}

TEST(SteerMemory, ALoadOfWhatIsLoadedTakesNoTurn) {
  GatewayHarness harness("POST", "/api/chat", R"({"model":"gemma","messages":[],"keep_alive":-1})");
  harness.is_warm = true;
  harness.serve();
  EXPECT_EQ(harness.leases_given, 0);
  EXPECT_EQ(harness.keep_alives, std::vector{Duration{-1}});
  EXPECT_EQ(json::parse(harness.response_body)["message"]["role"], "assistant");
}

TEST(SteerMemory, AnUnknownAiModelIsNotFound) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"nobody","keep_alive":0})");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 404);
  EXPECT_TRUE(json::parse(harness.response_body)["error"].is_string());
  EXPECT_TRUE(harness.unload_waits.empty());
}

// The body that the service gets, for a request that computes.
std::string sent_body(GatewayHarness& harness, const std::string& type = "ollama") {
  harness.config.service.type = type == "ollama" ? config::ServiceType::ollama : config::ServiceType::generic;
  harness.serve();
  EXPECT_EQ(harness.leases_given, 1);
  EXPECT_EQ(harness.forwarded_head.length, harness.forwarded_body.size());
  return harness.forwarded_body;
}

TEST(KeepAlive, IsAWishOfTheClientAndNotOllamasTimer) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","prompt":"hi","keep_alive":"5m"})");
  EXPECT_EQ(sent_body(harness), R"({"model":"gemma","prompt":"hi","keep_alive":-1})");
  EXPECT_EQ(harness.keep_alives, std::vector{300 * kSecond});
}

TEST(KeepAlive, ZeroUnloadsAfterTheWork) {
  GatewayHarness harness("POST", "/c/chat/api/chat", R"({"keep_alive":0,"model":"gemma","messages":[{}]})");
  EXPECT_EQ(sent_body(harness), R"({"keep_alive":-1,"model":"gemma","messages":[{}]})");
  EXPECT_EQ(harness.keep_alives, std::vector{Duration{0}});
}

TEST(KeepAlive, IsAddedWhereTheClientSaysNothing) {
  GatewayHarness harness("POST", "/api/embed", R"({"model":"chat/gemma","input":"a"})");
  EXPECT_EQ(sent_body(harness), R"({"keep_alive":-1,"model":"gemma","input":"a"})");
  EXPECT_TRUE(harness.keep_alives.empty());
}

TEST(KeepAlive, IsLeftAloneForOtherServices) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","prompt":"hi","keep_alive":"5m"})");
  EXPECT_EQ(sent_body(harness, "generic"), R"({"model":"gemma","prompt":"hi","keep_alive":"5m"})");
}

TEST(KeepAlive, DoesNotCountWhereTheOperatorSaysSo) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","prompt":"hi","keep_alive":"5m"})");
  harness.config.max_keep_alive = Duration{0};
  EXPECT_EQ(sent_body(harness), R"({"model":"gemma","prompt":"hi","keep_alive":-1})");
  EXPECT_TRUE(harness.keep_alives.empty());
}

TEST(KeepAlive, ThatIsNoTimeIsRefused) {
  GatewayHarness harness("POST", "/api/generate", R"({"model":"gemma","prompt":"hi","keep_alive":"soon"})");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 400);
  EXPECT_EQ(harness.leases_given, 0);
}

TEST(FreeRequest, OfAServiceThatIsNotUpSaysWhatLoadsIt) {
  GatewayHarness harness("GET", "/c/chat/health");
  harness.service_up = fail(ErrorCode::unavailable, "chat is not up");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 503);
  EXPECT_EQ(harness.forwarded_head.target, "/");
  GatewayHarness external("GET", "/c/chat/health");
  external.service_reachable = false;
  external.serve();
  EXPECT_EQ(external.response_head.status, 503);
  EXPECT_NE(external.response_body.find("chat is not up: connection refused"), std::string::npos)
      << external.response_body;
}

TEST(FreeRequest, ThatChangesFilesHasTheServiceListedAgain) {
  GatewayHarness pull("POST", "/c/chat/api/pull", R"({"model":"new"})");
  pull.config.service.type = config::ServiceType::ollama;
  pull.serve();
  EXPECT_EQ(pull.forwarded_body, R"({"model":"new"})");
  EXPECT_EQ(pull.leases_given, 0);
  EXPECT_EQ(pull.listings, 1);
  GatewayHarness look("GET", "/c/chat/api/tags");
  look.config.service.type = config::ServiceType::ollama;
  look.serve();
  EXPECT_EQ(look.listings, 0);
}

}  // namespace
}  // namespace mgpu::gateway
