#include "gateway/ollama_services.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

// Consumers 0 ("chat"), 1 ("first") and 2 ("second"); the last two are Ollama. "second" has "gemma".
struct OllamaHarness : GatewayHarness {
  bool has_services = true;

  using GatewayHarness::GatewayHarness;

  // Returns the consumer that the request goes to, or the error.
  std::string target() {
    EngineApi api = engine_api();
    api.config = [this] {
      config::Config whole;
      whole.consumers = {config};
      if (has_services) {
        whole.consumers.push_back({.name = "first", .service = {.type = config::ServiceType::ollama}});
        whole.consumers.push_back({.name = "second", .service = {.type = config::ServiceType::ollama}});
      }
      whole.limits = limits;
      return std::make_shared<const config::Config>(whole);
    };
    api.find_consumer = [](std::string_view name) -> std::optional<ConsumerId> {
      return name == "first" ? ConsumerId{1} : ConsumerId{2};
    };
    api.resolve = [](std::string_view name) -> Result<engine::Target> {
      if (name == "gemma") return engine::Target{.consumer = {2}};
      if (name == "chat") return engine::Target{.consumer = {0}};
      return fail(ErrorCode::not_found, "unknown");
    };
    const GatewayContext context{
        .engine_api = std::move(api),
        .connect = connector(),
        .body_budget = std::make_shared<BodyBudget>(BodyBudget{.memory_left = 1 << 20})};
    RequestContext request(context, caller);
    EXPECT_TRUE(parse_request(request));
    const Result<void> resolved = run(resolve_target(request));
    if (!resolved) return resolved.error().detail;
    EXPECT_FALSE(request.target.needs_turn);
    return std::to_string(request.target.resolved.consumer.value);
  }
};

std::string target_of(const char* method, const char* path, const char* body) {
  return OllamaHarness(method, path, body).target();
}

TEST(OllamaServices, TheBodyNamesTheAiModelThatMustExist) {
  EXPECT_EQ(target_of("DELETE", "/api/delete", R"({"model":"gemma"})"), "2");
  EXPECT_EQ(target_of("DELETE", "/api/delete", R"({"name":"gemma"})"), "2");
  EXPECT_EQ(target_of("POST", "/api/push", R"({"model":"gemma"})"), "2");
  EXPECT_EQ(target_of("POST", "/api/copy", R"({"source":"gemma","destination":"x"})"), "2");
  EXPECT_EQ(target_of("POST", "/api/create", R"({"model":"x","from":"gemma"})"), "2");
}

TEST(OllamaServices, EverythingElseIsForTheFirst) {
  EXPECT_EQ(target_of("POST", "/api/pull", R"({"model":"unknown"})"), "1");
  EXPECT_EQ(target_of("POST", "/api/pull", R"({"model":"chat"})"), "1") << "that is no Ollama's";
  EXPECT_EQ(target_of("POST", "/api/create", R"({"model":"gemma","files":{}})"), "1")
      << "its files were uploaded to the first";
  for (const char* body : {"", "no JSON", "[]", R"({"model":5})"})
    EXPECT_EQ(target_of("POST", "/api/pull", body), "1") << body;
  EXPECT_EQ(target_of("POST", "/api/me", ""), "1");
  EXPECT_EQ(target_of("GET", "/api/status", ""), "1");
  EXPECT_EQ(target_of("GET", "/api/version", ""), "1");
}

TEST(OllamaServices, AnUploadIsNotReadBeforeItIsForwarded) {
  OllamaHarness upload("POST", "/api/blobs/sha256:0", "weights");
  EXPECT_EQ(upload.target(), "1");
  EXPECT_EQ(upload.request_pieces.size(), 7U);
  EXPECT_TRUE(upload.body_limit_lifted);
  OllamaHarness pull("POST", "/api/pull", R"({"model":"gemma"})");
  EXPECT_EQ(pull.target(), "2");
  EXPECT_FALSE(pull.body_limit_lifted);
}

TEST(OllamaServices, WhatIsDeletedIsUnloadedFirst) {
  for (const bool is_warm : {true, false}) {
    GatewayHarness harness("DELETE", "/api/delete");
    harness.is_warm = is_warm;
    RequestContext& request = harness.request();
    request.target.deleted = engine::Target{.consumer = {0}, .resident = ResidentId{0}};
    auto step = [](RequestContext& of) -> Awaitable<Result<void>> {
      co_await unload_deleted(of);
      co_return Result<void>{};
    };
    EXPECT_TRUE(harness.run(step(request)));
    EXPECT_EQ(harness.unload_waits.size(), is_warm ? 1U : 0U);
  }
}

TEST(OllamaServices, WithoutOneThereIsNothingToAsk) {
  for (const char* path : {"/api/pull", "/api/other"}) {
    OllamaHarness harness("POST", path, R"({"model":"gemma"})");
    harness.has_services = false;
    EXPECT_EQ(harness.target(), std::string(path) + " not found: no consumer has `service: ollama`");
  }
}

}  // namespace
}  // namespace mgpu::gateway
