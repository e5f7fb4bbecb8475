// Services with one resident, each against a fake that is written from the application's own documentation
// (versions: docs/services.md). Tested for each: health, list, load, unload, active requests, out of memory,
// a control request that fails, and what is special about the application.
#include <cstdlib>
#include <set>

#include "service/contract_fixture.h"
#include "service/out_of_memory.h"

namespace mgpu::service {
namespace {

using config::ServiceType;
using fakes::text_response;
using nlohmann::json;

// --- vLLM 0.33 ---

class Vllm : public ContractFixture {
 protected:
  Vllm() {
    fake.add_route("GET /health", [](const FakeRequest&) { return text_response(""); })
        .add_route("GET /v1/models", [](const FakeRequest&) { return json{{"data", {{{"id", "qwen"}}}}}; })
        .add_route("GET /is_sleeping",
                   [this](const FakeRequest&) { return json{{"is_sleeping", level > 0}}; })
        .add_route("GET /metrics", [this](const FakeRequest&) { return text_response(metrics()); });
    fake.add_route("POST /sleep", [this](const FakeRequest& request) {
      level = request.query_contains("level=2") ? 2 : 1;
      aborts = !request.query_contains("mode=wait");
      weights_loaded = level == 1;
      return json{{"status", "sleeping"}, {"level", level}};
    });
    fake.add_route("POST /wake_up", [this](const FakeRequest& request) -> FakeResponse {
      if (out_of_memory) return {500, {{"error", {{"message", "CUDA out of memory."}, {"code", 500}}}}};
      if (!request.query_contains("tags=weights")) level = 0;
      return json{{"status", level > 0 ? "sleeping" : "awake"}};
    });
    fake.add_route("POST /collective_rpc", [this](const FakeRequest& request) {
      weights_loaded = weights_loaded || request.body.at("method") == "reload_weights";
      return json::object();
    });
  }
  std::string metrics() const {
    const auto state = [this](const char* name, int expected) {
      return "vllm:engine_sleep_state{engine=\"0\",sleep_state=\"" + std::string(name) + "\"} " +
             (level == expected ? "1.0\n" : "0.0\n");
    };
    return "# HELP vllm:num_requests_running Number of requests\n"
           "vllm:num_requests_running{engine=\"0\",model_name=\"qwen\"} " +
           std::to_string(running) + ".0\nvllm:num_requests_waiting{engine=\"0\",model_name=\"qwen\"} 1.0\n" +
           state("awake", 0) + state("weights_offloaded", 1) + state("discard_all", 2);
  }
  int level = 0, running = 0;
  bool weights_loaded = true, aborts = false, out_of_memory = false;
};

TEST_F(Vllm, SleepsAndWakesWithItsWeights) {
  create_service(ServiceType::vllm);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "qwen*");
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(level, 2) << "unloaded means that host memory is free, too";
  EXPECT_EQ(listed_names(), "qwen");
  EXPECT_FALSE(aborts) << "what runs is waited for";
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(level, 0);
  EXPECT_TRUE(weights_loaded) << "they were dropped, and must be read again";
}

TEST_F(Vllm, ParksWithItsWeightsInHostMemory) {
  create_service(ServiceType::vllm);
  EXPECT_TRUE(service->can_park());
  EXPECT_EQ(park(), kSuccess);
  EXPECT_EQ(level, 1);
  EXPECT_EQ(resume(), kSuccess);
  EXPECT_EQ(level, 0);
  EXPECT_EQ(resume(), kSuccess) << "awake already";
}

TEST_F(Vllm, SleepsAsDeepAsConfigured) {
  create_service({.type = ServiceType::vllm, .sleep_level = 1});
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(level, 1);
}

TEST_F(Vllm, CountsWhatItIsAt) {
  create_service(ServiceType::vllm);
  running = 3;
  EXPECT_EQ(active_requests(), 4u);
}

TEST_F(Vllm, WakesToTooLittleMemory) {
  create_service(ServiceType::vllm);
  EXPECT_EQ(park(), kSuccess);
  out_of_memory = true;
  EXPECT_EQ(resume(), "out_of_memory");
}

TEST_F(Vllm, WithoutSleepModeSaysHowToStartIt) {
  fake.add_route("POST /sleep",
                 [](const FakeRequest&) -> FakeResponse { return {404, {{"detail", "Not Found"}}}; });
  fake.add_route("GET /is_sleeping",
                 [](const FakeRequest&) -> FakeResponse { return {404, {{"detail", "Not Found"}}}; });
  create_service(ServiceType::vllm);
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_NE(last_error.find("--enable-sleep-mode"), std::string::npos);
  EXPECT_EQ(listed_names(), "qwen*");
  EXPECT_EQ(load(), kSuccess) << "it never sleeps";
}

TEST(VllmSigns, AreInItsLog) {
  EXPECT_TRUE(
      log_says_out_of_memory(ServiceType::vllm,
                             "ValueError: Free memory on device (3.1/23.6 GiB) on startup is less than "
                             "desired GPU memory utilization (0.9, 21.3 GiB)."));
  EXPECT_TRUE(log_says_out_of_memory(ServiceType::vllm, "No available memory for the cache blocks."));
}

// --- SGLang 0.5 ---

class Sglang : public ContractFixture {
 protected:
  Sglang() {
    fake.add_route("GET /ready", [this](const FakeRequest&) {
      probed_without_memory = probed_without_memory || released;
      return text_response("");
    });
    fake.add_route("GET /model_info", [](const FakeRequest&) { return json{{"model_path", "/models/qwen"}}; })
        .add_route("GET /v1/models", [](const FakeRequest&) { return json{{"data", {{{"id", "qwen"}}}}}; })
        .add_route(
            "GET /v1/loads",
            [this](const FakeRequest&) {
              return json{
                  {"loads", {{{"dp_rank", 0}, {"num_running_reqs", running}, {"num_waiting_reqs", 0}}}}};
            })
        .add_route("GET /server_info", [this](const FakeRequest&) {
          return json{{"enable_memory_saver", has_memory_saver},
                      {"enable_weights_cpu_backup", has_cpu_backup},
                      {"model_path", "/models/qwen"}};
        });
    fake.add_route("POST /release_memory_occupation", [this](const FakeRequest& request) {
      crashed = crashed || running > 0;
      released = true;
      weights_valid = has_cpu_backup;
      tags = request.body.value("tags", json::array());
      return json(nullptr);
    });
    fake.add_route("POST /resume_memory_occupation", [this](const FakeRequest& request) -> FakeResponse {
      if (!released || request.body.value("tags", json::array()) != tags) return {500, "KeyError"};
      released = false;
      return json(nullptr);
    });
    fake.add_route("POST /update_weights_from_disk", [this](const FakeRequest& request) {
      weights_valid = request.body.at("model_path") == "/models/qwen";
      return json{{"success", true}};
    });
  }
  bool has_memory_saver = true, has_cpu_backup = false, released = false, weights_valid = true,
       crashed = false;
  bool probed_without_memory = false;
  int running = 0;
  json tags;
};

TEST_F(Sglang, ReleasesAndReadsItsWeightsAgain) {
  create_service(ServiceType::sglang);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "qwen*");
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_TRUE(released);
  EXPECT_TRUE(is_up());
  EXPECT_FALSE(probed_without_memory) << "a probe computes a token";
  EXPECT_EQ(listed_names(), "qwen");
  EXPECT_EQ(load(), kSuccess);
  EXPECT_FALSE(released);
  EXPECT_TRUE(weights_valid) << "without a copy in host memory they come back as rubbish";
  EXPECT_EQ(load(), kSuccess) << "only what was released may be taken again";
}

TEST_F(Sglang, ReleasesWhatIsConfigured) {
  create_service({.type = ServiceType::sglang, .memory_tags = {"kv_cache"}});
  EXPECT_EQ(park(), kSuccess);
  EXPECT_EQ(tags, json({"kv_cache"}));
  EXPECT_EQ(resume(), kSuccess);
}

TEST_F(Sglang, MustBeIdle) {
  create_service(ServiceType::sglang);
  running = 2;
  EXPECT_EQ(active_requests(), 2u);
  EXPECT_EQ(park(), "busy");
  EXPECT_FALSE(crashed);
}

TEST_F(Sglang, WithoutMemorySaverSaysHowToStartIt) {
  create_service(ServiceType::sglang);
  has_memory_saver = false;
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_NE(last_error.find("--enable-memory-saver"), std::string::npos);
  EXPECT_FALSE(released);
}

TEST(SglangSigns, ComeWith400AsWell) {
  EXPECT_TRUE(says_out_of_memory(ServiceType::sglang, 400, R"({"error":{"message":"CUDA out of memory"}})"));
  EXPECT_TRUE(log_says_out_of_memory(ServiceType::sglang,
                                     "Not enough memory. Please try to increase --mem-fraction-static."));
}

// --- ComfyUI ---

class ComfyUi : public ContractFixture {
 protected:
  ComfyUi() {
    fake.add_route("GET /system_stats", [this](const FakeRequest&) {
      return json{{"system", {{"comfyui_version", "0.3"}}},
                  {"devices", {{{"name", "cuda:0"}, {"torch_vram_total", pool}, {"torch_vram_free", 1000}}}}};
    });
    fake.add_route("GET /prompt",
                   [this](const FakeRequest&) { return json{{"exec_info", {{"queue_remaining", queue}}}}; });
    fake.add_route("POST /free", [this](const FakeRequest& request) {
      if (request.body.at("unload_models") == true && request.body.at("free_memory") == true) pool = 1000;
      return text_response("");
    });
  }
  std::int64_t pool = 6'000'000'000;
  int queue = 0;
};

TEST_F(ComfyUi, ForgetsItsModels) {
  create_service(ServiceType::comfyui);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "*");
  EXPECT_EQ(load(), kSuccess) << "its first workflow loads";
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(listed_names(), "");
  EXPECT_FALSE(await_result(service->list_ai_models())->front().resident) << "an empty pool";
  EXPECT_EQ(park(), "not_supported");
}

TEST_F(ComfyUi, WorksOnAfterItsAnswer) {
  create_service(ServiceType::comfyui);
  EXPECT_EQ(active_requests(), 0u);
  queue = 2;
  EXPECT_EQ(active_requests(), 2u);
}

TEST_F(ComfyUi, AControlRequestThatFailsIsSaid) {
  fake.add_route("POST /free",
                 [](const FakeRequest&) -> FakeResponse { return {500, {{"error", "torch is confused"}}}; });
  create_service(ServiceType::comfyui);
  EXPECT_EQ(unload(), "service_down");
  EXPECT_NE(last_error.find("torch is confused"), std::string::npos);
}

// --- AUTOMATIC1111 1.10, Forge ---

class A1111 : public ContractFixture {
 protected:
  A1111() {
    fake.add_route("GET /sdapi/v1/memory", [this](const FakeRequest& request) -> FakeResponse {
      authorization = http::header(request.headers, "Authorization");
      return json{{"ram", {{"free", 1}}}, {"cuda", {{"reserved", {{"current", pool}, {"peak", pool}}}}}};
    });
    fake.add_route("GET /sdapi/v1/progress", [this](const FakeRequest&) {
      return json{{"progress", 0}, {"state", {{"job_count", jobs}}}};
    });
    fake.add_route("POST /sdapi/v1/unload-checkpoint", [this](const FakeRequest&) {
      broken_picture = jobs != 0;
      pool = 0;
      return json::object();
    });
    fake.add_route("POST /sdapi/v1/reload-checkpoint", [this](const FakeRequest&) -> FakeResponse {
      if (out_of_memory)
        return {
            500,
            {{"error", "OutOfMemoryError"}, {"errors", "CUDA out of memory. Tried to allocate 2.00 GiB"}}};
      pool = 4'000'000'000;
      return json::object();
    });
  }
  std::int64_t pool = 4'000'000'000;
  int jobs = 0;
  bool broken_picture = false, out_of_memory = false;
  std::string authorization;
};

TEST_F(A1111, MovesItsCheckpoint) {
  create_service(ServiceType::a1111);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "*");
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(listed_names(), "");
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(listed_names(), "*");
  EXPECT_EQ(authorization, "");
}

TEST_F(A1111, IsNotUnloadedInTheMiddleOfAPicture) {
  create_service(ServiceType::a1111);
  jobs = -1;
  EXPECT_EQ(active_requests(), 1u) << "it prepares one";
  EXPECT_EQ(unload(), "busy");
  EXPECT_FALSE(broken_picture);
}

TEST_F(A1111, SaysThatMemoryRanOut) {
  create_service(ServiceType::a1111);
  out_of_memory = true;
  EXPECT_EQ(load(), "out_of_memory");
}

TEST_F(A1111, TakesUserAndPassword) {
  setenv("MGPU_TEST_A1111", "user:password", 1);
  create_service({.type = ServiceType::a1111, .api_key_env = "MGPU_TEST_A1111"});
  EXPECT_TRUE(is_up());
  EXPECT_EQ(authorization, "Basic dXNlcjpwYXNzd29yZA==");
}

TEST_F(A1111, WithoutItsApiIsDown) {
  fake.add_route("GET /sdapi/v1/memory",
                 [](const FakeRequest&) -> FakeResponse { return {404, {{"detail", "Not Found"}}}; });
  create_service(ServiceType::a1111);
  EXPECT_FALSE(is_up());
}

// --- TabbyAPI ---

class TabbyApi : public ContractFixture {
 protected:
  TabbyApi() {
    fake.add_route("GET /health", [](const FakeRequest&) { return json{{"status", "healthy"}}; });
    fake.add_route("GET /v1/model", [this](const FakeRequest&) -> FakeResponse {
      if (loaded.empty())
        return {503, {{"detail", {{"error", {{"message", "No models are currently loaded."}}}}}}};
      return json{{"id", loaded}, {"parameters", {{"max_seq_len", 4096}}}};
    });
    fake.add_route("POST /v1/model/load", [this](const FakeRequest& request) -> FakeResponse {
      if (http::header(request.headers, "X-Admin-Key") != "secret") return {401, {{"detail", "bad key"}}};
      if (!event.empty()) return text_response(event);
      loaded = request.body.at("model_name");
      return text_response(
          "data: {\"module\":1,\"modules\":2,\"status\":\"processing\"}\n\n"
          "data: {\"module\":2,\"modules\":2,\"status\":\"finished\"}\n\n");
    });
    fake.add_route("POST /v1/model/unload", [this](const FakeRequest&) {
      loaded = "";
      return json(nullptr);
    });
    setenv("MGPU_TEST_TABBY", "secret", 1);
  }
  const config::ServiceConfig config{
      .type = ServiceType::tabbyapi, .ai_model = "gemma", .api_key_env = "MGPU_TEST_TABBY"};
  std::string loaded = "gemma", event;
};

TEST_F(TabbyApi, LoadsAndUnloadsItsOne) {
  create_service(config);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "gemma*");
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(loaded, "");
  EXPECT_EQ(listed_names(), "gemma");
  EXPECT_EQ(unload(), kSuccess) << "gone already";
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(loaded, "gemma");
}

TEST_F(TabbyApi, ReplacesAnotherOne) {
  loaded = "something else";
  create_service(config);
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(loaded, "gemma");
}

TEST_F(TabbyApi, TellsOfItsFailureInAnEvent) {
  loaded = "";
  create_service(config);
  event = "data: {\"error\":{\"message\":\"CUDA out of memory\"}}\n\n";
  EXPECT_EQ(load(), "out_of_memory");
  event = "data: {\"error\":{\"message\":\"no such folder\"}}\n\n";
  EXPECT_EQ(load(), "load_failed");
  event = "data: {\"status\":\"processing\"}\n\n";
  EXPECT_EQ(load(), "load_failed") << "it never finished";
}

TEST_F(TabbyApi, WantsTheAdminKey) {
  loaded = "";
  create_service({.type = ServiceType::tabbyapi, .ai_model = "gemma"});
  EXPECT_EQ(load(), "unauthorized");
}

TEST_F(TabbyApi, KeepsWhatWeCouldNotLoadAgain) {
  create_service(ServiceType::tabbyapi);
  EXPECT_FALSE(service->can_unload());
  EXPECT_EQ(load(), kSuccess) << "it holds one";
  loaded = "";
  EXPECT_EQ(load(), "load_failed");
  EXPECT_NE(last_error.find("ai_model"), std::string::npos);
}

// --- text-generation-webui 4.7 ---

class TextGenerationWebui : public ContractFixture {
 protected:
  TextGenerationWebui() {
    fake.add_route("GET /v1/internal/health", [](const FakeRequest&) { return json{{"status", "ok"}}; });
    fake.add_route("GET /v1/internal/model/info", [this](const FakeRequest&) {
      return json{{"model_name", loaded}, {"lora_names", json::array()}, {"loader", "llama.cpp"}};
    });
    fake.add_route("POST /v1/internal/model/load", [this](const FakeRequest& request) -> FakeResponse {
      if (request.body.at("model_name") != "gemma") return {500, {{"detail", "Failed to load the model."}}};
      loaded = "gemma";
      return json("OK");
    });
    fake.add_route("POST /v1/internal/model/unload", [this](const FakeRequest&) {
      loaded = "None";
      return json("OK");
    });
  }
  std::string loaded = "gemma";
};

TEST_F(TextGenerationWebui, LoadsAndUnloadsItsOne) {
  create_service({.type = ServiceType::text_generation_webui, .ai_model = "gemma"});
  EXPECT_TRUE(is_up());
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(listed_names(), "gemma") << "None is no name";
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(listed_names(), "gemma*");
}

TEST_F(TextGenerationWebui, ALoadThatFailsIsSaid) {
  loaded = "None";
  create_service({.type = ServiceType::text_generation_webui, .ai_model = "nothing"});
  EXPECT_EQ(load(), "load_failed");
}

// --- KoboldCpp 1.102 ---

class KoboldCpp : public ContractFixture {
 protected:
  KoboldCpp() {
    fake.add_route("GET /api/extra/version",
                   [this](const FakeRequest&) { return json{{"result", name}, {"version", "1.102"}}; });
    // It imitates Ollama with constant answers.
    fake.add_route("GET /api/version", [](const FakeRequest&) { return json{{"version", "0.7.0"}}; })
        .add_route("GET /api/ps",
                   [](const FakeRequest&) { return json{{"models", {{{"name", "koboldcpp/x"}}}}}; });
    fake.add_route("GET /api/v1/model", [this](const FakeRequest&) -> FakeResponse {
      if (restart_polls > 0) return --restart_polls, FakeResponse(503, "restarting");
      return json{{"result", loaded}};
    });
    fake.add_route("GET /api/extra/perf",
                   [this](const FakeRequest&) { return json{{"idle", running > 0 ? 0 : 1}, {"queue", 1}}; });
    fake.add_route("POST /api/admin/reload_config", [this](const FakeRequest& request) {
      const std::string file = request.body.at("filename");
      if (file != "gemma.kcpps" && file != "unload_model") return json{{"success", false}};
      loaded = file == "unload_model" ? "inactive" : "koboldcpp/gemma";
      restart_polls = 3;
      return json{{"success", true}};
    });
  }
  std::string name = "KoboldCpp", loaded = "koboldcpp/gemma";
  int running = 0, restart_polls = 0;
};

TEST_F(KoboldCpp, RestartsItsWorker) {
  create_service({.type = ServiceType::koboldcpp, .ai_model = "gemma.kcpps"});
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "koboldcpp/gemma*");
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_EQ(restart_polls, 0) << "returns when it is back";
  EXPECT_EQ(listed_names(), "gemma.kcpps");
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(listed_names(), "koboldcpp/gemma*");
}

TEST_F(KoboldCpp, IsNotWhatItImitates) {
  create_service(ServiceType::koboldcpp);
  name = "something with the same routes";
  EXPECT_FALSE(is_up());
}

TEST_F(KoboldCpp, RefusesWith200) {
  create_service({.type = ServiceType::koboldcpp, .ai_model = "nobody.kcpps"});
  loaded = "inactive";
  EXPECT_EQ(load(), "load_failed");
  EXPECT_NE(last_error.find("--admindir"), std::string::npos);
}

TEST_F(KoboldCpp, CountsItsQueue) {
  create_service(ServiceType::koboldcpp);
  running = 1;
  EXPECT_EQ(active_requests(), 2u);
}

// --- llama-server with one AI model ---

class LlamaServer : public ContractFixture {
 protected:
  LlamaServer() {
    fake.add_route("GET /health", [](const FakeRequest&) { return json{{"status", "ok"}}; })
        .add_route("GET /props", [this](const FakeRequest&) {
          return json{{"total_slots", 2}, {"is_sleeping", is_sleeping}};
        });
    fake.add_route("GET /slots", [this](const FakeRequest&) {
      is_sleeping = false;  // it wakes, and loads again
      return json{{{"id", 0}, {"is_processing", true}}, {{"id", 1}, {"is_processing", false}}};
    });
  }
  bool is_sleeping = false;
};

TEST_F(LlamaServer, CountsItsSlots) {
  create_service(ServiceType::llama_server);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(active_requests(), 1u);
}

TEST_F(LlamaServer, IsNotWokenByALook) {
  create_service(ServiceType::llama_server);
  is_sleeping = true;
  EXPECT_EQ(active_requests(), 0u);
  EXPECT_FALSE(await_result(service->list_ai_models())->front().resident);
  EXPECT_TRUE(is_sleeping);
}

// --- without unload: Infinity 0.0.78, TEI 1.9, whisper.cpp 1.9, sd-server ---

class NoUnloadContract : public ContractFixture {};

TEST_F(NoUnloadContract, Infinity) {
  fake.add_route("GET /health", [](const FakeRequest&) { return json{{"unix", 1.5}}; });
  fake.add_route("GET /models", [](const FakeRequest&) {
    return json{{"data", {{{"id", "bge"}, {"stats", {{"queue_absolute", 2}, {"results_pending", 1}}}}}}};
  });
  create_service(ServiceType::infinity);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "bge*");
  EXPECT_EQ(active_requests(), 3u);
  EXPECT_FALSE(service->can_unload());
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_TRUE(says_out_of_memory(ServiceType::infinity, 500, "InternalServerError: CUDA out of memory."));
}

TEST_F(NoUnloadContract, Tei) {
  bool ready = false;
  fake.add_route("GET /health", [&](const FakeRequest&) { return text_response("", ready ? 200 : 503); });
  fake.add_route("GET /info", [](const FakeRequest&) { return json{{"model_id", "BAAI/bge"}}; });
  fake.add_route("GET /metrics", [](const FakeRequest&) {
    return text_response("# TYPE te_queue_size gauge\nte_queue_size 5\n");
  });
  create_service(ServiceType::tei);
  EXPECT_EQ(await_result(service->check_health()).state, Health::State::loading);
  ready = true;
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "BAAI/bge*");
  EXPECT_EQ(active_requests(), 5u);
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_TRUE(says_out_of_memory(ServiceType::tei, 424, R"({"error":"DriverError: out of memory"})"));
  EXPECT_FALSE(says_out_of_memory(ServiceType::tei, 424, R"({"error":"batch too large"})"));
}

TEST_F(NoUnloadContract, WhisperCpp) {
  fake.add_route("GET /health",
                 [](const FakeRequest&) -> FakeResponse { return {503, {{"status", "loading model"}}}; });
  create_service(ServiceType::whisper_cpp);
  EXPECT_EQ(await_result(service->check_health()).state, Health::State::loading);
  fake.add_route("GET /health", [](const FakeRequest&) { return json{{"status", "ok"}}; });
  EXPECT_TRUE(is_up());
  EXPECT_EQ(load(), kSuccess);
  EXPECT_EQ(unload(), "not_supported");
}

TEST_F(NoUnloadContract, SdServer) {
  fake.add_route("GET /v1/models",
                 [](const FakeRequest&) { return json{{"data", {{{"id", "sd-cpp-local"}}}}}; });
  create_service(ServiceType::sd_server);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(unload(), "not_supported");
}

// --- InvokeAI 6 ---

TEST_F(NoUnloadContract, ButInvokeAiEmptiesItsCache) {
  json stats = nullptr;
  int pending = 0;
  fake.add_route("GET /api/v1/app/version", [](const FakeRequest&) { return json{{"version", "6.14.2"}}; })
      .add_route("GET /api/v2/models/stats", [&](const FakeRequest&) { return stats; })
      .add_route(
          "GET /api/v1/queue/default/status",
          [&](const FakeRequest&) { return json{{"queue", {{"pending", pending}, {"in_progress", 1}}}}; })
      .add_route("POST /api/v2/models/empty_model_cache", [&](const FakeRequest&) {
        stats["in_cache"] = 0;
        return text_response("");
      });
  create_service(ServiceType::invokeai);
  EXPECT_TRUE(is_up());
  EXPECT_FALSE(await_result(service->list_ai_models())->front().resident) << "null before the first load";
  stats = {{"in_cache", 3}};
  EXPECT_TRUE(await_result(service->list_ai_models())->front().resident);
  EXPECT_EQ(unload(), kSuccess);
  EXPECT_FALSE(await_result(service->list_ai_models())->front().resident);
  pending = 2;
  EXPECT_EQ(active_requests(), 3u);
}

}  // namespace
}  // namespace mgpu::service
