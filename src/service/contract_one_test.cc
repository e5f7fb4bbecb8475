// Services with one resident, each against a fake that is written from the application's own documentation
// (versions: docs/services.md). What is tested for each: ready, listed, loaded, given back, at work, out of
// memory, a control request that fails, and what is odd about it.
#include <cstdlib>
#include <set>

#include "service/contract.h"
#include "service/out_of_memory.h"

namespace mgpu::service {
namespace {

using config::ServiceType;
using fakes::plain;
using nlohmann::json;

// --- vLLM 0.33 ---

class Vllm : public Contract {
 protected:
  Vllm() {
    fake.on("GET /health", [](const Asked&) { return plain(""); })
        .on("GET /v1/models", [](const Asked&) { return json{{"data", {{{"id", "qwen"}}}}}; })
        .on("GET /is_sleeping", [this](const Asked&) { return json{{"is_sleeping", level > 0}}; })
        .on("GET /metrics", [this](const Asked&) { return plain(metrics()); });
    fake.on("POST /sleep", [this](const Asked& asked) {
      level = asked.asks("level=2") ? 2 : 1;
      aborts = !asked.asks("mode=wait");
      weights = level == 1;
      return json{{"status", "sleeping"}, {"level", level}};
    });
    fake.on("POST /wake_up", [this](const Asked& asked) -> Told {
      if (starved) return {500, {{"error", {{"message", "CUDA out of memory."}, {"code", 500}}}}};
      if (!asked.asks("tags=weights")) level = 0;
      return json{{"status", level > 0 ? "sleeping" : "awake"}};
    });
    fake.on("POST /collective_rpc", [this](const Asked& asked) {
      weights = weights || asked.body.at("method") == "reload_weights";
      return json::object();
    });
  }
  std::string metrics() const {
    const auto state = [this](const char* name, int of) {
      return "vllm:engine_sleep_state{engine=\"0\",sleep_state=\"" + std::string(name) + "\"} " +
             (level == of ? "1.0\n" : "0.0\n");
    };
    return "# HELP vllm:num_requests_running Number of requests\n"
           "vllm:num_requests_running{engine=\"0\",model_name=\"qwen\"} " +
           std::to_string(running) + ".0\nvllm:num_requests_waiting{engine=\"0\",model_name=\"qwen\"} 1.0\n" +
           state("awake", 0) + state("weights_offloaded", 1) + state("discard_all", 2);
  }
  int level = 0, running = 0;
  bool weights = true, aborts = false, starved = false;
};

TEST_F(Vllm, SleepsAndWakesWithItsWeights) {
  speak(ServiceType::vllm);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "qwen*");
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(level, 2) << "unloaded means that host memory is free, too";
  EXPECT_EQ(listed(), "qwen");
  EXPECT_FALSE(aborts) << "what runs is waited for";
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(level, 0);
  EXPECT_TRUE(weights) << "they were dropped, and must be read again";
}

TEST_F(Vllm, ParksWithItsWeightsInHostMemory) {
  speak(ServiceType::vllm);
  EXPECT_TRUE(service->can_park());
  EXPECT_EQ(park(), kFine);
  EXPECT_EQ(level, 1);
  EXPECT_EQ(resume(), kFine);
  EXPECT_EQ(level, 0);
  EXPECT_EQ(resume(), kFine) << "awake already";
}

TEST_F(Vllm, SleepsAsDeepAsConfigured) {
  speak({.type = ServiceType::vllm, .sleep_level = 1});
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(level, 1);
}

TEST_F(Vllm, CountsWhatItIsAt) {
  speak(ServiceType::vllm);
  running = 3;
  EXPECT_EQ(at_work(), 4u);
}

TEST_F(Vllm, WakesToTooLittleMemory) {
  speak(ServiceType::vllm);
  EXPECT_EQ(park(), kFine);
  starved = true;
  EXPECT_EQ(resume(), "out_of_memory");
}

TEST_F(Vllm, WithoutSleepModeSaysHowToStartIt) {
  fake.on("POST /sleep", [](const Asked&) -> Told { return {404, {{"detail", "Not Found"}}}; });
  fake.on("GET /is_sleeping", [](const Asked&) -> Told { return {404, {{"detail", "Not Found"}}}; });
  speak(ServiceType::vllm);
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_NE(last.find("--enable-sleep-mode"), std::string::npos);
  EXPECT_EQ(listed(), "qwen*");
  EXPECT_EQ(load(), kFine) << "it never sleeps";
}

TEST(VllmSigns, AreInItsLog) {
  EXPECT_TRUE(
      log_says_out_of_memory(ServiceType::vllm,
                             "ValueError: Free memory on device (3.1/23.6 GiB) on startup is less than "
                             "desired GPU memory utilization (0.9, 21.3 GiB)."));
  EXPECT_TRUE(log_says_out_of_memory(ServiceType::vllm, "No available memory for the cache blocks."));
}

// --- SGLang 0.5 ---

class Sglang : public Contract {
 protected:
  Sglang() {
    fake.on("GET /ready", [this](const Asked&) {
      probed_without_memory = probed_without_memory || released;
      return plain("");
    });
    fake.on("GET /model_info", [](const Asked&) { return json{{"model_path", "/models/qwen"}}; })
        .on("GET /v1/models", [](const Asked&) { return json{{"data", {{{"id", "qwen"}}}}}; })
        .on("GET /v1/loads",
            [this](const Asked&) {
              return json{
                  {"loads", {{{"dp_rank", 0}, {"num_running_reqs", running}, {"num_waiting_reqs", 0}}}}};
            })
        .on("GET /server_info", [this](const Asked&) {
          return json{{"enable_memory_saver", saver},
                      {"enable_weights_cpu_backup", backup},
                      {"model_path", "/models/qwen"}};
        });
    fake.on("POST /release_memory_occupation", [this](const Asked& asked) {
      crashed = crashed || running > 0;
      released = true;
      good_weights = backup;
      tags = asked.body.value("tags", json::array());
      return json(nullptr);
    });
    fake.on("POST /resume_memory_occupation", [this](const Asked& asked) -> Told {
      if (!released || asked.body.value("tags", json::array()) != tags) return {500, "KeyError"};
      released = false;
      return json(nullptr);
    });
    fake.on("POST /update_weights_from_disk", [this](const Asked& asked) {
      good_weights = asked.body.at("model_path") == "/models/qwen";
      return json{{"success", true}};
    });
  }
  bool saver = true, backup = false, released = false, good_weights = true, crashed = false;
  bool probed_without_memory = false;
  int running = 0;
  json tags;
};

TEST_F(Sglang, ReleasesAndReadsItsWeightsAgain) {
  speak(ServiceType::sglang);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "qwen*");
  EXPECT_EQ(unload(), kFine);
  EXPECT_TRUE(released);
  EXPECT_TRUE(up());
  EXPECT_FALSE(probed_without_memory) << "a probe computes a token";
  EXPECT_EQ(listed(), "qwen");
  EXPECT_EQ(load(), kFine);
  EXPECT_FALSE(released);
  EXPECT_TRUE(good_weights) << "without a copy in host memory they come back as rubbish";
  EXPECT_EQ(load(), kFine) << "only what was released may be taken again";
}

TEST_F(Sglang, ReleasesWhatIsConfigured) {
  speak({.type = ServiceType::sglang, .memory_tags = {"kv_cache"}});
  EXPECT_EQ(park(), kFine);
  EXPECT_EQ(tags, json({"kv_cache"}));
  EXPECT_EQ(resume(), kFine);
}

TEST_F(Sglang, MustBeIdle) {
  speak(ServiceType::sglang);
  running = 2;
  EXPECT_EQ(at_work(), 2u);
  EXPECT_EQ(park(), "busy");
  EXPECT_FALSE(crashed);
}

TEST_F(Sglang, WithoutMemorySaverSaysHowToStartIt) {
  speak(ServiceType::sglang);
  saver = false;
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_NE(last.find("--enable-memory-saver"), std::string::npos);
  EXPECT_FALSE(released);
}

TEST(SglangSigns, ComeWith400AsWell) {
  EXPECT_TRUE(says_out_of_memory(ServiceType::sglang, 400, R"({"error":{"message":"CUDA out of memory"}})"));
  EXPECT_TRUE(log_says_out_of_memory(ServiceType::sglang,
                                     "Not enough memory. Please try to increase --mem-fraction-static."));
}

// --- ComfyUI ---

class ComfyUi : public Contract {
 protected:
  ComfyUi() {
    fake.on("GET /system_stats", [this](const Asked&) {
      return json{{"system", {{"comfyui_version", "0.3"}}},
                  {"devices", {{{"name", "cuda:0"}, {"torch_vram_total", pool}, {"torch_vram_free", 1000}}}}};
    });
    fake.on("GET /prompt",
            [this](const Asked&) { return json{{"exec_info", {{"queue_remaining", queue}}}}; });
    fake.on("POST /free", [this](const Asked& asked) {
      if (asked.body.at("unload_models") == true && asked.body.at("free_memory") == true) pool = 1000;
      return plain("");
    });
  }
  std::int64_t pool = 6'000'000'000;
  int queue = 0;
};

TEST_F(ComfyUi, ForgetsItsModels) {
  speak(ServiceType::comfyui);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "*");
  EXPECT_EQ(load(), kFine) << "its first workflow loads";
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(listed(), "");
  EXPECT_FALSE(done(service->list())->front().resident) << "an empty pool";
  EXPECT_EQ(park(), "not_supported");
}

TEST_F(ComfyUi, WorksOnAfterItsAnswer) {
  speak(ServiceType::comfyui);
  EXPECT_EQ(at_work(), 0u);
  queue = 2;
  EXPECT_EQ(at_work(), 2u);
}

TEST_F(ComfyUi, AControlRequestThatFailsIsSaid) {
  fake.on("POST /free", [](const Asked&) -> Told { return {500, {{"error", "torch is confused"}}}; });
  speak(ServiceType::comfyui);
  EXPECT_EQ(unload(), "service_down");
  EXPECT_NE(last.find("torch is confused"), std::string::npos);
}

// --- AUTOMATIC1111 1.10, Forge ---

class A1111 : public Contract {
 protected:
  A1111() {
    fake.on("GET /sdapi/v1/memory", [this](const Asked& asked) -> Told {
      key = http::header(asked.headers, "Authorization");
      return json{{"ram", {{"free", 1}}}, {"cuda", {{"reserved", {{"current", pool}, {"peak", pool}}}}}};
    });
    fake.on("GET /sdapi/v1/progress",
            [this](const Asked&) { return json{{"progress", 0}, {"state", {{"job_count", jobs}}}}; });
    fake.on("POST /sdapi/v1/unload-checkpoint", [this](const Asked&) {
      broken_picture = jobs != 0;
      pool = 0;
      return json::object();
    });
    fake.on("POST /sdapi/v1/reload-checkpoint", [this](const Asked&) -> Told {
      if (starved)
        return {
            500,
            {{"error", "OutOfMemoryError"}, {"errors", "CUDA out of memory. Tried to allocate 2.00 GiB"}}};
      pool = 4'000'000'000;
      return json::object();
    });
  }
  std::int64_t pool = 4'000'000'000;
  int jobs = 0;
  bool broken_picture = false, starved = false;
  std::string key;
};

TEST_F(A1111, MovesItsCheckpoint) {
  speak(ServiceType::a1111);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "*");
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(listed(), "");
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(listed(), "*");
  EXPECT_EQ(key, "");
}

TEST_F(A1111, IsNotUnloadedInTheMiddleOfAPicture) {
  speak(ServiceType::a1111);
  jobs = -1;
  EXPECT_EQ(at_work(), 1u) << "it prepares one";
  EXPECT_EQ(unload(), "busy");
  EXPECT_FALSE(broken_picture);
}

TEST_F(A1111, SaysThatMemoryRanOut) {
  speak(ServiceType::a1111);
  starved = true;
  EXPECT_EQ(load(), "out_of_memory");
}

TEST_F(A1111, TakesUserAndPassword) {
  setenv("MGPU_TEST_A1111", "user:password", 1);
  speak({.type = ServiceType::a1111, .api_key_env = "MGPU_TEST_A1111"});
  EXPECT_TRUE(up());
  EXPECT_EQ(key, "Basic dXNlcjpwYXNzd29yZA==");
}

TEST_F(A1111, WithoutItsApiIsDown) {
  fake.on("GET /sdapi/v1/memory", [](const Asked&) -> Told { return {404, {{"detail", "Not Found"}}}; });
  speak(ServiceType::a1111);
  EXPECT_FALSE(up());
}

// --- TabbyAPI ---

class TabbyApi : public Contract {
 protected:
  TabbyApi() {
    fake.on("GET /health", [](const Asked&) { return json{{"status", "healthy"}}; });
    fake.on("GET /v1/model", [this](const Asked&) -> Told {
      if (held.empty())
        return {503, {{"detail", {{"error", {{"message", "No models are currently loaded."}}}}}}};
      return json{{"id", held}, {"parameters", {{"max_seq_len", 4096}}}};
    });
    fake.on("POST /v1/model/load", [this](const Asked& asked) -> Told {
      if (http::header(asked.headers, "X-Admin-Key") != "secret") return {401, {{"detail", "bad key"}}};
      if (!event.empty()) return plain(event);
      held = asked.body.at("model_name");
      return plain(
          "data: {\"module\":1,\"modules\":2,\"status\":\"processing\"}\n\n"
          "data: {\"module\":2,\"modules\":2,\"status\":\"finished\"}\n\n");
    });
    fake.on("POST /v1/model/unload", [this](const Asked&) {
      held = "";
      return json(nullptr);
    });
    setenv("MGPU_TEST_TABBY", "secret", 1);
  }
  const config::ServiceConfig config{
      .type = ServiceType::tabbyapi, .ai_model = "gemma", .api_key_env = "MGPU_TEST_TABBY"};
  std::string held = "gemma", event;
};

TEST_F(TabbyApi, LoadsAndUnloadsItsOne) {
  speak(config);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "gemma*");
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(held, "");
  EXPECT_EQ(listed(), "gemma");
  EXPECT_EQ(unload(), kFine) << "gone already";
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(held, "gemma");
}

TEST_F(TabbyApi, ReplacesAnotherOne) {
  held = "something else";
  speak(config);
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(held, "gemma");
}

TEST_F(TabbyApi, TellsOfItsFailureInAnEvent) {
  held = "";
  speak(config);
  event = "data: {\"error\":{\"message\":\"CUDA out of memory\"}}\n\n";
  EXPECT_EQ(load(), "out_of_memory");
  event = "data: {\"error\":{\"message\":\"no such folder\"}}\n\n";
  EXPECT_EQ(load(), "load_failed");
  event = "data: {\"status\":\"processing\"}\n\n";
  EXPECT_EQ(load(), "load_failed") << "it never finished";
}

TEST_F(TabbyApi, WantsTheAdminKey) {
  held = "";
  speak({.type = ServiceType::tabbyapi, .ai_model = "gemma"});
  EXPECT_EQ(load(), "unauthorized");
}

TEST_F(TabbyApi, KeepsWhatWeCouldNotLoadAgain) {
  speak(ServiceType::tabbyapi);
  EXPECT_FALSE(service->can_unload());
  EXPECT_EQ(load(), kFine) << "it holds one";
  held = "";
  EXPECT_EQ(load(), "load_failed");
  EXPECT_NE(last.find("ai_model"), std::string::npos);
}

// --- text-generation-webui 4.7 ---

class TextGenerationWebui : public Contract {
 protected:
  TextGenerationWebui() {
    fake.on("GET /v1/internal/health", [](const Asked&) { return json{{"status", "ok"}}; });
    fake.on("GET /v1/internal/model/info", [this](const Asked&) {
      return json{{"model_name", held}, {"lora_names", json::array()}, {"loader", "llama.cpp"}};
    });
    fake.on("POST /v1/internal/model/load", [this](const Asked& asked) -> Told {
      if (asked.body.at("model_name") != "gemma") return {500, {{"detail", "Failed to load the model."}}};
      held = "gemma";
      return json("OK");
    });
    fake.on("POST /v1/internal/model/unload", [this](const Asked&) {
      held = "None";
      return json("OK");
    });
  }
  std::string held = "gemma";
};

TEST_F(TextGenerationWebui, LoadsAndUnloadsItsOne) {
  speak({.type = ServiceType::text_generation_webui, .ai_model = "gemma"});
  EXPECT_TRUE(up());
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(listed(), "gemma") << "None is no name";
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(listed(), "gemma*");
}

TEST_F(TextGenerationWebui, ALoadThatFailsIsSaid) {
  held = "None";
  speak({.type = ServiceType::text_generation_webui, .ai_model = "nothing"});
  EXPECT_EQ(load(), "load_failed");
}

// --- KoboldCpp 1.102 ---

class KoboldCpp : public Contract {
 protected:
  KoboldCpp() {
    fake.on("GET /api/extra/version",
            [this](const Asked&) { return json{{"result", name}, {"version", "1.102"}}; });
    // It imitates Ollama; these are constants and say nothing.
    fake.on("GET /api/version", [](const Asked&) { return json{{"version", "0.7.0"}}; })
        .on("GET /api/ps", [](const Asked&) { return json{{"models", {{{"name", "koboldcpp/x"}}}}}; });
    fake.on("GET /api/v1/model", [this](const Asked&) -> Told {
      if (away > 0) return --away, Told(503, "restarting");
      return json{{"result", held}};
    });
    fake.on("GET /api/extra/perf",
            [this](const Asked&) { return json{{"idle", running > 0 ? 0 : 1}, {"queue", 1}}; });
    fake.on("POST /api/admin/reload_config", [this](const Asked& asked) {
      const std::string file = asked.body.at("filename");
      if (file != "gemma.kcpps" && file != "unload_model") return json{{"success", false}};
      held = file == "unload_model" ? "inactive" : "koboldcpp/gemma";
      away = 3;
      return json{{"success", true}};
    });
  }
  std::string name = "KoboldCpp", held = "koboldcpp/gemma";
  int running = 0, away = 0;
};

TEST_F(KoboldCpp, RestartsItsWorker) {
  speak({.type = ServiceType::koboldcpp, .ai_model = "gemma.kcpps"});
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "koboldcpp/gemma*");
  EXPECT_EQ(unload(), kFine);
  EXPECT_EQ(away, 0) << "returns when it is back";
  EXPECT_EQ(listed(), "gemma.kcpps");
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(listed(), "koboldcpp/gemma*");
}

TEST_F(KoboldCpp, IsNotWhatItImitates) {
  speak(ServiceType::koboldcpp);
  name = "something with the same routes";
  EXPECT_FALSE(up());
}

TEST_F(KoboldCpp, RefusesWith200) {
  speak({.type = ServiceType::koboldcpp, .ai_model = "nobody.kcpps"});
  held = "inactive";
  EXPECT_EQ(load(), "load_failed");
  EXPECT_NE(last.find("--admindir"), std::string::npos);
}

TEST_F(KoboldCpp, CountsItsQueue) {
  speak(ServiceType::koboldcpp);
  running = 1;
  EXPECT_EQ(at_work(), 2u);
}

// --- llama-server with one AI model ---

class LlamaServer : public Contract {
 protected:
  LlamaServer() {
    fake.on("GET /health", [](const Asked&) { return json{{"status", "ok"}}; })
        .on("GET /props", [this](const Asked&) { return json{{"total_slots", 2}, {"is_sleeping", sleeps}}; });
    fake.on("GET /slots", [this](const Asked&) {
      sleeps = false;  // it wakes, and loads again
      return json{{{"id", 0}, {"is_processing", true}}, {{"id", 1}, {"is_processing", false}}};
    });
  }
  bool sleeps = false;
};

TEST_F(LlamaServer, CountsItsSlots) {
  speak(ServiceType::llama_server);
  EXPECT_TRUE(up());
  EXPECT_EQ(at_work(), 1u);
}

TEST_F(LlamaServer, IsNotWokenByALook) {
  speak(ServiceType::llama_server);
  sleeps = true;
  EXPECT_EQ(at_work(), 0u);
  EXPECT_FALSE(done(service->list())->front().resident);
  EXPECT_TRUE(sleeps);
}

// --- those that only end: Infinity 0.0.78, TEI 1.9, whisper.cpp 1.9, sd-server ---

class OnlyEnds : public Contract {};

TEST_F(OnlyEnds, Infinity) {
  fake.on("GET /health", [](const Asked&) { return json{{"unix", 1.5}}; });
  fake.on("GET /models", [](const Asked&) {
    return json{{"data", {{{"id", "bge"}, {"stats", {{"queue_absolute", 2}, {"results_pending", 1}}}}}}};
  });
  speak(ServiceType::infinity);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "bge*");
  EXPECT_EQ(at_work(), 3u);
  EXPECT_FALSE(service->can_unload());
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_TRUE(says_out_of_memory(ServiceType::infinity, 500, "InternalServerError: CUDA out of memory."));
}

TEST_F(OnlyEnds, Tei) {
  bool ready = false;
  fake.on("GET /health", [&](const Asked&) { return plain("", ready ? 200 : 503); });
  fake.on("GET /info", [](const Asked&) { return json{{"model_id", "BAAI/bge"}}; });
  fake.on("GET /metrics",
          [](const Asked&) { return plain("# TYPE te_queue_size gauge\nte_queue_size 5\n"); });
  speak(ServiceType::tei);
  EXPECT_EQ(done(service->healthy()).state, Health::State::loading);
  ready = true;
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "BAAI/bge*");
  EXPECT_EQ(at_work(), 5u);
  EXPECT_EQ(unload(), "not_supported");
  EXPECT_TRUE(says_out_of_memory(ServiceType::tei, 424, R"({"error":"DriverError: out of memory"})"));
  EXPECT_FALSE(says_out_of_memory(ServiceType::tei, 424, R"({"error":"batch too large"})"));
}

TEST_F(OnlyEnds, WhisperCpp) {
  fake.on("GET /health", [](const Asked&) -> Told { return {503, {{"status", "loading model"}}}; });
  speak(ServiceType::whisper_cpp);
  EXPECT_EQ(done(service->healthy()).state, Health::State::loading);
  fake.on("GET /health", [](const Asked&) { return json{{"status", "ok"}}; });
  EXPECT_TRUE(up());
  EXPECT_EQ(load(), kFine);
  EXPECT_EQ(unload(), "not_supported");
}

TEST_F(OnlyEnds, SdServer) {
  fake.on("GET /v1/models", [](const Asked&) { return json{{"data", {{{"id", "sd-cpp-local"}}}}}; });
  speak(ServiceType::sd_server);
  EXPECT_TRUE(up());
  EXPECT_EQ(unload(), "not_supported");
}

// --- InvokeAI 6 ---

TEST_F(OnlyEnds, ButInvokeAiEmptiesItsCache) {
  json stats = nullptr;
  int pending = 0;
  fake.on("GET /api/v1/app/version", [](const Asked&) { return json{{"version", "6.14.2"}}; })
      .on("GET /api/v2/models/stats", [&](const Asked&) { return stats; })
      .on("GET /api/v1/queue/default/status",
          [&](const Asked&) { return json{{"queue", {{"pending", pending}, {"in_progress", 1}}}}; })
      .on("POST /api/v2/models/empty_model_cache", [&](const Asked&) {
        stats["in_cache"] = 0;
        return plain("");
      });
  speak(ServiceType::invokeai);
  EXPECT_TRUE(up());
  EXPECT_FALSE(done(service->list())->front().resident) << "null before the first load";
  stats = {{"in_cache", 3}};
  EXPECT_TRUE(done(service->list())->front().resident);
  EXPECT_EQ(unload(), kFine);
  EXPECT_FALSE(done(service->list())->front().resident);
  pending = 2;
  EXPECT_EQ(at_work(), 3u);
}

}  // namespace
}  // namespace mgpu::service
