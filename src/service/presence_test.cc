// What services say of an AI model that is not simply loaded: that it is unknown, not running, being loaded,
// or asleep.
#include "service/contract_fixture.h"

namespace mgpu::service {
namespace {

using config::ServiceType;
using nlohmann::json;

class PresenceTest : public ContractFixture {
 protected:
  void answer(const std::string& method_and_path, int status, const json& body) {
    fake.add_route(method_and_path,
                   [status, body](const FakeRequest&) { return FakeResponse(status, body); });
  }
  void create(config::ServiceConfig of) {
    config = std::move(of);
    create_service(config);
  }
  std::string unload_if_loaded(const std::string& ai_model) {
    return outcome(await_result(service::unload_if_loaded(*service, config, ai_model, kLimit)));
  }
  Presence presence(const std::string& ai_model) {
    return presence_in(await_result(service->list_ai_models()).value(), config, ai_model);
  }
  config::ServiceConfig config{};
};

TEST_F(PresenceTest, OllamaDoesNotFindWhatWasDeleted) {
  create({.type = ServiceType::ollama});
  answer("POST /api/generate", 404, {{"error", "model 'small' not found"}});
  answer("GET /api/tags", 200, {{"models", json::array()}});
  answer("GET /api/ps", 200, {{"models", json::array()}});
  EXPECT_EQ(unload_if_loaded("small:latest"), kSuccess);
}

TEST_F(PresenceTest, OllamaStillHoldsWhatWasDeletedWhileItWasLoaded) {
  create({.type = ServiceType::ollama});
  answer("POST /api/generate", 404, {{"error", "model 'small' not found"}});
  answer("GET /api/tags", 200, {{"models", json::array()}});
  answer("GET /api/ps", 200, {{"models", {{{"name", "small:latest"}, {"size_vram", 1000}}}}});
  EXPECT_EQ(unload_if_loaded("small:latest"), "not_found");
}

class RouterPresence : public PresenceTest {
 protected:
  RouterPresence() { create({.type = ServiceType::llama_server, .router = true}); }
  void list(const std::string& status) {
    answer("GET /models", 200, {{"data", {{{"id", "small"}, {"status", {{"value", status}}}}}}});
  }
};

TEST_F(RouterPresence, WhatIsNotRunningIsUnloaded) {
  answer("POST /models/unload", 400, {{"error", {{"code", 400}, {"message", "model is not running"}}}});
  list("unloaded");
  EXPECT_EQ(unload_if_loaded("small"), kSuccess);
}

TEST_F(RouterPresence, WhatItDoesNotKnowIsUnloaded) {
  answer("POST /models/unload", 404, {{"error", {{"code", 404}, {"message", "model not found"}}}});
  list("loaded");
  EXPECT_EQ(unload_if_loaded("another"), kSuccess);
}

TEST_F(RouterPresence, AFailedUnloadOfWhatIsLoadedStaysAnError) {
  answer("POST /models/unload", 500, {{"error", {{"code", 500}, {"message", "stop failed"}}}});
  list("loaded");
  EXPECT_EQ(unload_if_loaded("small"), "service_down");
}

TEST_F(RouterPresence, ListsWhatIsBeingLoadedAndWhatSleeps) {
  for (const auto& [status, expected] : std::map<std::string, Presence>{{"loading", Presence::loading},
                                                                        {"loaded", Presence::warm},
                                                                        {"sleeping", Presence::cold},
                                                                        {"downloading", Presence::cold},
                                                                        {"unloaded", Presence::cold}}) {
    list(status);
    EXPECT_EQ(presence("small"), expected) << status;
  }
}

TEST_F(RouterPresence, WakesWhatSleeps) {
  answer("POST /models/load", 400, {{"error", {{"code", 400}, {"message", "model is already running"}}}});
  list("sleeping");
  fake.add_route("GET /slots", [this](const FakeRequest& request) {
    if (request.query_contains("model=small")) list("loaded");
    return FakeResponse(200, json::array());
  });
  EXPECT_EQ(load("small"), kSuccess);
  EXPECT_EQ(presence("small"), Presence::warm);
}

TEST_F(PresenceTest, LmStudioHasForgottenIt) {
  create({.type = ServiceType::lm_studio});
  answer("GET /api/v1/models", 200, {{"models", json::array()}});
  EXPECT_EQ(unload_if_loaded("small"), kSuccess);
}

TEST_F(PresenceTest, TritonRefusesToUnloadWhatItDoesNotKnow) {
  create({.type = ServiceType::triton});
  answer("POST /v2/repository/models/small/unload", 400, {{"error", "failed to unload 'small', not loaded"}});
  answer("POST /v2/repository/index", 200, json::array());
  EXPECT_EQ(unload_if_loaded("small"), kSuccess);
}

TEST_F(PresenceTest, VllmThatSomebodyElsePutToSleepIsParkedOrCold) {
  create({.type = ServiceType::vllm});
  answer("GET /v1/models", 200, {{"data", {{{"id", "qwen"}}}}});
  answer("GET /is_sleeping", 200, {{"is_sleeping", true}});
  const auto metric = [](const char* state) {
    return std::string("vllm:engine_sleep_state{sleep_state=\"") + state + "\"} 1.0\n";
  };
  fake.add_route("GET /metrics",
                 [&](const FakeRequest&) { return fakes::text_response(metric("weights_offloaded")); });
  EXPECT_EQ(presence(""), Presence::parked);
  fake.add_route("GET /metrics",
                 [&](const FakeRequest&) { return fakes::text_response(metric("discard_all")); });
  EXPECT_EQ(presence(""), Presence::cold);
}

}  // namespace
}  // namespace mgpu::service
