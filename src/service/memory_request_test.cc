#include "service/memory_request.h"

#include <gtest/gtest.h>

namespace mgpu::service {
namespace {

using config::ServiceConfig;
using config::ServiceType;
using nlohmann::json;
using Action = MemoryRequest::Action;

constexpr Duration kSecond{1'000'000};

Result<std::optional<MemoryRequest>> read(const ServiceConfig& service, std::string_view method,
                                          std::string_view target, const json& fields) {
  const RequestMatch match = classify(service, method, target);
  EXPECT_EQ(match.meaning, RequestMeaning::steers_memory) << target;
  return read_memory_request(service, match, target, fields);
}

// The request, which must steer memory.
MemoryRequest steers(const ServiceConfig& service, std::string_view method, std::string_view target,
                     const json& fields = json::object()) {
  const auto request = read(service, method, target, fields);
  EXPECT_TRUE(request && *request) << target << ' ' << fields;
  return request && *request ? **request : MemoryRequest{};
}

bool computes(const ServiceConfig& service, std::string_view method, std::string_view target,
              const json& fields) {
  const auto request = read(service, method, target, fields);
  return request && !*request;
}

const ServiceConfig kOllama{.type = ServiceType::ollama};

TEST(MemoryRequest, OllamaLoadsAndUnloadsByRequestsWithoutInput) {
  EXPECT_EQ(steers(kOllama, "POST", "/api/generate", {{"model", "m"}, {"keep_alive", 0}}).action,
            Action::unload);
  EXPECT_EQ(
      steers(kOllama, "POST", "/api/generate", {{"model", "m"}, {"prompt", ""}, {"keep_alive", "0s"}}).action,
      Action::unload);
  EXPECT_EQ(steers(kOllama, "POST", "/api/chat", {{"model", "m"}, {"messages", json::array()}}).action,
            Action::load);
  EXPECT_EQ(
      steers(kOllama, "POST", "/api/chat", {{"model", "m"}, {"messages", nullptr}, {"keep_alive", 0}}).action,
      Action::unload);
  EXPECT_EQ(steers(kOllama, "POST", "/api/embed", {{"model", "m"}}).action, Action::load);
  const MemoryRequest load =
      steers(kOllama, "POST", "/api/generate", {{"model", "m"}, {"keep_alive", "30m"}});
  EXPECT_EQ(load.action, Action::load);
  EXPECT_EQ(load.ai_model, "m");
  EXPECT_EQ(load.keep_alive, 1800 * kSecond);
}

TEST(MemoryRequest, OllamaComputesWithInput) {
  EXPECT_TRUE(
      computes(kOllama, "POST", "/api/generate", {{"model", "m"}, {"prompt", "hi"}, {"keep_alive", 0}}));
  EXPECT_TRUE(computes(kOllama, "POST", "/api/chat",
                       {{"model", "m"}, {"messages", {{{"role", "user"}}}}, {"keep_alive", 0}}));
  EXPECT_TRUE(computes(kOllama, "POST", "/api/embed", {{"model", "m"}, {"input", {"a"}}}));
  EXPECT_TRUE(computes(kOllama, "POST", "/api/embeddings", {{"model", "m"}, {"prompt", "a"}}));
  EXPECT_TRUE(computes(kOllama, "POST", "/api/generate", json::object()));
}

TEST(MemoryRequest, KeepAliveIsSecondsOrADuration) {
  const auto keep_alive = [](const json& value) { return read_keep_alive(value).value(); };
  EXPECT_EQ(keep_alive(nullptr), std::nullopt);
  EXPECT_EQ(keep_alive(0), Duration{0});
  EXPECT_EQ(keep_alive(300), 300 * kSecond);
  EXPECT_EQ(keep_alive(0.5), kSecond / 2);
  EXPECT_EQ(keep_alive("5m"), 300 * kSecond);
  EXPECT_EQ(keep_alive("1h30m"), 5400 * kSecond);
  EXPECT_EQ(keep_alive("0"), Duration{0});
  EXPECT_EQ(keep_alive("-0s"), Duration{0});
  EXPECT_EQ(keep_alive("60"), 60 * kSecond);
  EXPECT_EQ(keep_alive(1e300), kLongestDuration);
  EXPECT_EQ(keep_alive("99999999999999999999"), kLongestDuration);
  for (const json& for_ever : {json(-1), json("-1"), json("-1s"), json("-24h"), json(-0.5)})
    EXPECT_LT(*keep_alive(for_ever), Duration{0}) << for_ever;
  for (const json& wrong : {json(""), json("soon"), json("-"), json(true), json::array({1})})
    EXPECT_EQ(read_keep_alive(wrong).error().code, ErrorCode::invalid_request) << wrong;
  EXPECT_FALSE(read(kOllama, "POST", "/api/generate", {{"model", "m"}, {"keep_alive", "soon"}}));
}

TEST(MemoryRequest, TheOthersNameTheirAiModelEachInItsWay) {
  const ServiceConfig router{.type = ServiceType::llama_server, .router = true};
  EXPECT_EQ(steers(router, "POST", "/models/unload", {{"model", "a/b"}}).ai_model, "a/b");
  EXPECT_EQ(read(router, "POST", "/models/unload", json::object()).error().code, ErrorCode::invalid_request);
  const ServiceConfig studio{.type = ServiceType::lm_studio};
  const MemoryRequest second = steers(studio, "POST", "/api/v1/models/unload", {{"instance_id", "q/m:2"}});
  EXPECT_EQ(second.ai_model, "q/m");
  EXPECT_EQ(memory_answer(second, {}).body, R"({"instance_id":"q/m:2"})");
  EXPECT_EQ(steers(studio, "POST", "/api/v1/models/unload", {{"instance_id", "m:x"}}).ai_model, "m:x");
  const ServiceConfig speaches{.type = ServiceType::speaches};
  EXPECT_EQ(steers(speaches, "DELETE", "/api/ps/a/b").ai_model, "a/b");
  EXPECT_EQ(steers(speaches, "DELETE", "/api/ps/a/b").action, Action::unload);
  const ServiceConfig vllm{.type = ServiceType::vllm};
  EXPECT_EQ(memory_answer(steers(vllm, "POST", "/sleep?level=2"), {}).body,
            R"({"status":"sleeping","level":2})");
  EXPECT_EQ(read(vllm, "POST", "/sleep?level=0", json::object()).error().code, ErrorCode::not_supported);
}

TEST(MemoryRequest, ComfyUiFreesOnlyIfItIsAskedTo) {
  const ServiceConfig comfyui{.type = ServiceType::comfyui};
  EXPECT_EQ(steers(comfyui, "POST", "/free", {{"unload_models", true}}).action, Action::unload);
  EXPECT_EQ(steers(comfyui, "POST", "/api/free", {{"free_memory", true}}).action, Action::unload);
  EXPECT_EQ(steers(comfyui, "POST", "/free", {{"unload_models", false}}).action, Action::none);
  EXPECT_EQ(steers(comfyui, "POST", "/free").action, Action::none);
}

TEST(MemoryRequest, ALoadOfAnotherAiModelThanTheConsumersIsWork) {
  const ServiceConfig tabby{.type = ServiceType::tabbyapi, .ai_model = "mine"};
  EXPECT_EQ(steers(tabby, "POST", "/v1/model/load", {{"model_name", "mine"}}).action, Action::load);
  EXPECT_TRUE(computes(tabby, "POST", "/v1/model/load", {{"model_name", "another"}}));
  const ServiceConfig kobold{.type = ServiceType::koboldcpp, .ai_model = "mine.kcpps"};
  EXPECT_EQ(steers(kobold, "POST", "/api/admin/reload_config", {{"filename", "mine.kcpps"}}).action,
            Action::load);
  EXPECT_EQ(steers(kobold, "POST", "/api/admin/reload_config", {{"filename", "unload_model"}}).action,
            Action::unload);
  EXPECT_TRUE(computes(kobold, "POST", "/api/admin/reload_config", {{"filename", "b.gguf"}}));
}

TEST(MemoryRequest, AnswersAsTheApplicationDoes) {
  const MemoryOutcome done{.took = kSecond, .answered_at = "T"}, before{.was_so_before = true};
  const auto body = [&](Steering steering, Action action) {
    return json::parse(memory_answer({.action = action, .steering = steering, .ai_model = "m"}, done).body);
  };
  EXPECT_EQ(
      body(Steering::ollama_generate, Action::unload),
      json::parse(R"({"model":"m","created_at":"T","response":"","done":true,"done_reason":"unload"})"));
  EXPECT_EQ(body(Steering::ollama_chat, Action::load),
            json::parse(R"({"model":"m","created_at":"T","message":{"role":"assistant","content":""},)"
                        R"("done":true,"done_reason":"load"})"));
  EXPECT_EQ(body(Steering::ollama_embed, Action::load), json::parse(R"({"model":"m","embeddings":[]})"));
  EXPECT_EQ(body(Steering::lm_studio_load, Action::load)["load_time_seconds"], 1.0);
  const auto status = [](Steering steering, const MemoryOutcome& outcome) {
    return memory_answer({.steering = steering}, outcome).status;
  };
  EXPECT_EQ(status(Steering::llama_router_unload, done), 200);
  EXPECT_EQ(status(Steering::llama_router_unload, before), 400);
  EXPECT_EQ(status(Steering::speaches_load, done), 201);
  EXPECT_EQ(status(Steering::speaches_load, before), 409);
  EXPECT_EQ(status(Steering::tabbyapi_unload, before), 503);
  EXPECT_EQ(status(Steering::a1111_unload, before), 200);
  EXPECT_EQ(memory_answer({.steering = Steering::sglang_release}, done).body, "null");
  EXPECT_EQ(memory_answer({.steering = Steering::comfyui_free}, done).body, "");
}

TEST(MemoryRequest, EachKindOfRequestHasAnAnswer) {
  for (int i = 1; i <= static_cast<int>(Steering::generic_unload); ++i) {
    const auto steering = static_cast<Steering>(i);
    const MemoryAnswer answer = memory_answer({.action = Action::load, .steering = steering}, {});
    const bool is_empty_by_contract =
        steering == Steering::comfyui_free || steering == Steering::speaches_load ||
        steering == Steering::speaches_unload || steering == Steering::triton_load ||
        steering == Steering::triton_unload;
    EXPECT_EQ(answer.body.empty(), is_empty_by_contract) << i;
    EXPECT_EQ(answer.body.find("{model}"), std::string::npos) << answer.body;
  }
}

}  // namespace
}  // namespace mgpu::service
