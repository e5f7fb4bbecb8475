// Services with a resident for each AI model, and Wyoming; see contract_one_test.cc.
#include <set>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "service/contract.h"
#include "service/out_of_memory.h"
#include "service/wyoming_frame.h"

namespace mgpu::service {
namespace {

using config::ServiceType;
using fakes::plain;
using nlohmann::json;

// --- LM Studio 0.4 ---

class LmStudio : public Contract {
 protected:
  LmStudio() {
    fake.on("GET /api/v1/models", [this](const Asked&) {
      json all = json::array();
      for (const auto& [key, ids] : instances) {
        json loaded = json::array();
        for (const auto& id : ids) loaded.push_back({{"id", id}});
        all.push_back({{"type", "llm"}, {"key", key}, {"size_bytes", 1000}, {"loaded_instances", loaded}});
      }
      return json{{"models", all}};
    });
    fake.on("POST /api/v1/models/load", [this](const Asked& asked) -> Told {
      const std::string key = asked.body.at("model");
      if (starved)
        return {400,
                {{"error",
                  {{"type", "model_load_failed"},
                   {"message", "Model loading was stopped due to insufficient system resources."}}}}};
      auto& ids = instances[key];
      ids.insert(ids.empty() ? key : key + ":" + std::to_string(ids.size() + 1));
      return json{{"type", "llm"}, {"instance_id", key}, {"status", "loaded"}};
    });
    fake.on("POST /api/v1/models/unload", [this](const Asked& asked) -> Told {
      for (auto& [key, ids] : instances)
        if (ids.erase(asked.body.at("instance_id")) > 0)
          return json{{"instance_id", asked.body.at("instance_id")}};
      return {404, {{"error", "no such instance"}}};
    });
  }
  std::map<std::string, std::set<std::string>> instances{{"google/gemma", {}}, {"qwen", {}}};
  bool starved = false;
};

TEST_F(LmStudio, LoadsListsAndUnloadsByInstance) {
  speak(ServiceType::lm_studio);
  EXPECT_TRUE(up());
  EXPECT_EQ(load("google/gemma"), kFine);
  EXPECT_EQ(listed(), "google/gemma* qwen");
  EXPECT_EQ(done(service->list())->front().bytes, Bytes{1000});
  EXPECT_EQ(load("google/gemma"), kFine);
  EXPECT_EQ(instances["google/gemma"].size(), 1u) << "no second instance of what is loaded";
  EXPECT_EQ(unload("google/gemma"), kFine);
  EXPECT_EQ(listed(), "google/gemma qwen");
}

TEST_F(LmStudio, UnloadsEveryInstance) {
  instances["qwen"] = {"qwen", "qwen:2"};
  speak(ServiceType::lm_studio);
  EXPECT_EQ(unload("qwen"), kFine);
  EXPECT_TRUE(instances["qwen"].empty());
}

TEST_F(LmStudio, SaysThatMemoryRanOut) {
  speak(ServiceType::lm_studio);
  starved = true;
  EXPECT_EQ(load("qwen"), "out_of_memory");
  EXPECT_EQ(load("nobody"), "not_found");
}

// --- LocalAI 4.9 ---

class LocalAi : public Contract {
 protected:
  LocalAi() {
    fake.on("GET /readyz", [this](const Asked&) -> Told {
      return {ready ? 200 : 503, {{"status", ready ? "ok" : "starting"}}};
    });
    fake.on("GET /v1/models",
            [](const Asked&) { return json{{"data", {{{"id", "phi"}}, {{"id", "bert"}}}}}; });
    fake.on("GET /system", [this](const Asked&) {
      json all = json::array();
      for (const auto& name : loaded) all.push_back({{"id", name}, {"backend", "llama-cpp"}});
      return json{{"backends", {"llama-cpp"}}, {"loaded_models", all}};
    });
    fake.on("GET /backend/monitor",
            [](const Asked& asked) { return json{{"state", asked.asks("phi") ? 1 : 2}}; });
    fake.on("POST /backend/load", [this](const Asked& asked) -> Told {
      if (starved) return {500, {{"error", {{"code", 500}, {"message", "rpc error: cudaMalloc failed"}}}}};
      loaded.insert(asked.body.at("model"));
      return json{{"message", "loaded"}};
    });
    fake.on("POST /backend/shutdown", [this](const Asked& asked) -> Told {
      if (loaded.erase(asked.body.at("model")) == 0) return {404, {{"error", {{"message", "not loaded"}}}}};
      return json{{"message", "stopped"}};
    });
  }
  std::set<std::string> loaded;
  bool ready = true, starved = false;
};

TEST_F(LocalAi, LoadsListsAndUnloads) {
  speak(ServiceType::localai);
  EXPECT_TRUE(up());
  EXPECT_EQ(load("phi"), kFine);
  EXPECT_EQ(listed(), "phi* bert");
  EXPECT_EQ(at_work(), 1u);
  EXPECT_EQ(unload("phi"), kFine);
  EXPECT_EQ(unload("phi"), kFine) << "gone already";
  EXPECT_EQ(listed(), "phi bert");
  ready = false;
  EXPECT_EQ(done(service->healthy()).state, Health::State::loading);
}

TEST_F(LocalAi, SaysThatMemoryRanOut) {
  speak(ServiceType::localai);
  starved = true;
  EXPECT_EQ(load("phi"), "out_of_memory");
}

TEST_F(LocalAi, AnOlderOneLoadsWithItsFirstRequest) {
  fake.on("POST /backend/load", [](const Asked&) -> Told { return {404, {{"error", "Not Found"}}}; });
  speak(ServiceType::localai);
  EXPECT_EQ(load("phi"), kFine);
}

// --- Speaches 0.9 ---

class Speaches : public Contract {
 protected:
  Speaches() {
    fake.on("GET /health", [](const Asked&) { return json{{"message", "OK"}}; });
    fake.on("GET /v1/models",
            [](const Asked&) { return json{{"data", {{{"id", "org/whisper"}}, {{"id", "kokoro"}}}}}; });
    fake.on("GET /api/ps", [this](const Asked&) { return json{{"models", known}}; });
    fake.on("POST /api/ps/org/whisper", [this](const Asked&) -> Told {
      if (starved) return plain("Internal Server Error: CUDA failed with error out of memory", 500);
      if (!known.insert("org/whisper").second) return {409, {{"detail", "already loaded"}}};
      memory = true;
      return {201, "created"};
    });
    fake.on("DELETE /api/ps/org/whisper", [this](const Asked&) -> Told {
      if (known.erase("org/whisper") == 0) return {404, {{"detail", "not loaded"}}};
      if (in_use) return {409, {{"detail", "in use"}}};  // forgotten all the same
      memory = false;
      return json("ok");
    });
    fake.on("DELETE /v1/models/org/whisper", [this](const Asked&) {
      files = false;
      return json("ok");
    });
  }
  std::set<std::string> known;
  bool memory = false, in_use = false, files = true, starved = false;
};

TEST_F(Speaches, LoadsListsAndUnloads) {
  speak(ServiceType::speaches);
  EXPECT_TRUE(up());
  EXPECT_EQ(load("org/whisper"), kFine);
  EXPECT_EQ(load("org/whisper"), kFine) << "409: already";
  EXPECT_EQ(listed(), "org/whisper* kokoro");
  EXPECT_EQ(unload("org/whisper"), kFine);
  EXPECT_FALSE(memory);
  EXPECT_EQ(unload("org/whisper"), kFine) << "404: not there";
  EXPECT_EQ(load("nobody"), "not_found");
  EXPECT_TRUE(files);
}

TEST_F(Speaches, ForgetsWhatIsInUseButKeepsItsMemory) {
  speak(ServiceType::speaches);
  EXPECT_EQ(load("org/whisper"), kFine);
  in_use = true;
  EXPECT_EQ(unload("org/whisper"), "service_down");
  EXPECT_TRUE(memory);
  EXPECT_EQ(unload("org/whisper"), "service_down") << "404 now, and it is no proof";
  in_use = false;
  EXPECT_EQ(load("org/whisper"), kFine);
  EXPECT_EQ(unload("org/whisper"), kFine);
  EXPECT_FALSE(memory);
}

TEST_F(Speaches, SaysThatMemoryRanOut) {
  speak(ServiceType::speaches);
  starved = true;
  EXPECT_EQ(load("org/whisper"), "out_of_memory");
}

// --- Triton ---

class Triton : public Contract {
 protected:
  Triton() {
    fake.on("GET /v2/health/ready", [](const Asked&) { return plain(""); });
    fake.on("POST /v2/repository/index", [this](const Asked&) {
      if (leaving == 1) state = "UNAVAILABLE";
      leaving = std::max(leaving - 1, 0);
      return json{{{"name", "resnet"}, {"version", "1"}, {"state", state}},
                  {{"name", "resnet"}, {"version", "2"}, {"state", "UNAVAILABLE"}},
                  {{"name", "bert"}}};
    });
    fake.on("POST /v2/repository/models/resnet/load", [this](const Asked&) -> Told {
      if (starved)
        return {400, {{"error", "load failed for model 'resnet': failed to allocate CUDA memory"}}};
      state = "READY";
      return plain("");
    });
    fake.on("POST /v2/repository/models/resnet/unload", [this](const Asked& asked) {
      dependents = asked.body.at("parameters").at("unload_dependents");
      state = "UNLOADING";
      leaving = 3;
      return plain("");
    });
  }
  std::string state = "UNAVAILABLE";
  int leaving = 0;
  bool dependents = false, starved = false;
};

TEST_F(Triton, LoadsListsAndUnloads) {
  speak(ServiceType::triton);
  EXPECT_TRUE(up());
  EXPECT_EQ(listed(), "resnet bert");
  EXPECT_EQ(load("resnet"), kFine);
  EXPECT_EQ(listed(), "resnet* bert");
  EXPECT_EQ(unload("resnet"), kFine);
  EXPECT_EQ(state, "UNAVAILABLE") << "an unload that is answered for is not over";
  EXPECT_TRUE(dependents);
}

TEST_F(Triton, SaysThatMemoryRanOut) {
  speak(ServiceType::triton);
  starved = true;
  EXPECT_EQ(load("resnet"), "out_of_memory");
  EXPECT_EQ(load("nobody"), "not_found");
}

// --- llama-server as a router ---

class LlamaRouter : public Contract {
 protected:
  LlamaRouter() {
    fake.on("GET /models", [this](const Asked&) {
      return json{{"data",
                   {{{"id", "a"}, {"status", {{"value", state}, {"failed", failed}}}},
                    {{"id", "b"}, {"status", {{"value", "unloaded"}}}}}}};
    });
    fake.on("POST /models/load", [this](const Asked&) -> Told {
      if (state == "loaded") return {400, {{"error", {{"message", "model is already running"}}}}};
      state = failed ? "unloaded" : "loaded";
      return json{{"success", true}};
    });
    fake.on("GET /slots", [this](const Asked& asked) {
      loads_by_looking = loads_by_looking || !asked.asks("autoload=false");
      return json{{{"id", 0}, {"is_processing", true}}};
    });
  }
  std::string state = "unloaded";
  bool failed = false, loads_by_looking = false;
};

TEST_F(LlamaRouter, IsLookedAtWithoutLoading) {
  speak({.type = ServiceType::llama_server, .router = true});
  EXPECT_EQ(at_work(), 0u);
  EXPECT_EQ(load("a"), kFine);
  EXPECT_EQ(load("a"), kFine) << "already";
  EXPECT_EQ(at_work(), 1u);
  EXPECT_FALSE(loads_by_looking);
}

TEST_F(LlamaRouter, AChildThatFailsIsSaid) {
  speak({.type = ServiceType::llama_server, .router = true});
  failed = true;
  EXPECT_EQ(load("a"), "load_failed");
  EXPECT_EQ(load("nobody"), "not_found");
}

// --- Wyoming ---

TEST(WyomingFrame, GoesThereAndBack) {
  const WyomingFrame chunk{
      .type = "audio-chunk", .data = {{"rate", 16000}}, .payload = std::string("\n\0sound", 7)};
  const auto wire = to_wire(chunk) + "{\"type\":\"next\"}\n";
  const auto read = read_frame(wire);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->frame.type, "audio-chunk");
  EXPECT_EQ((*read)->frame.data, chunk.data);
  EXPECT_EQ((*read)->frame.payload, chunk.payload);
  EXPECT_EQ(read_frame(std::string_view(wire).substr((*read)->taken))->value().frame.type, "next");
}

TEST(WyomingFrame, MergesWhatFollowsItsLine) {
  const auto read = read_frame("{\"type\":\"info\",\"data\":{\"a\":1},\"data_length\":7}\n{\"b\":2}");
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->frame.data, json({{"a", 1}, {"b", 2}}));
}

TEST(WyomingFrame, IsWaitedForUntilItIsComplete) {
  EXPECT_FALSE(read_frame("{\"type\":")->has_value());
  EXPECT_FALSE(read_frame("{\"type\":\"x\",\"payload_length\":3}\nab")->has_value());
}

TEST(WyomingFrame, RubbishIsRefused) {
  EXPECT_FALSE(read_frame("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_FALSE(read_frame("{\"type\":\"x\",\"data_length\":99999999999}\n"));
  EXPECT_FALSE(read_frame("{\"type\":\"x\",\"data_length\":-1}\n"));
  EXPECT_FALSE(read_frame("{\"type\":\"x\",\"data_length\":2}\nno"));
}

// Answers `describe` as the Python package does: the data after the line.
class Wyoming : public Contract {
 protected:
  using tcp = boost::asio::ip::tcp;
  Wyoming() { boost::asio::co_spawn(io, answer_all(), boost::asio::detached); }

  boost::asio::awaitable<void> answer_all() {
    for (;;) {
      auto socket = co_await acceptor.async_accept(boost::asio::use_awaitable);
      std::string bytes;
      while (bytes.find('\n') == bytes.npos) {
        char piece[256];
        bytes.append(piece,
                     co_await socket.async_read_some(boost::asio::buffer(piece), boost::asio::use_awaitable));
      }
      const auto asked = read_frame(bytes);
      const bool describe = asked && *asked && (*asked)->frame.type == "describe";
      const std::string reply = describe ? answer
                                         : R"({"type":"error","data":{"text":"what?"}})"
                                           "\n";
      co_await boost::asio::async_write(socket, boost::asio::buffer(reply), boost::asio::use_awaitable);
    }
  }
  void speak_to(std::uint16_t port) {
    const config::ServiceConfig config{.type = ServiceType::wyoming,
                                       .url = "tcp://127.0.0.1:" + std::to_string(port)};
    service = *make_service(config, std::nullopt);
  }

  tcp::acceptor acceptor{io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::string answer = "{\"type\":\"info\",\"version\":\"1.10.2\",\"data_length\":11}\n{\"asr\": []}";
};

TEST_F(Wyoming, DescribesItself) {
  speak_to(acceptor.local_endpoint().port());
  EXPECT_TRUE(up()) << done(service->healthy()).why;
  EXPECT_EQ(load(), kFine) << "it loads at start";
  EXPECT_EQ(unload(), "not_supported");
}

TEST_F(Wyoming, IsDownWhereItSaysAnythingElse) {
  speak_to(acceptor.local_endpoint().port());
  answer = "{\"type\":\"error\",\"data\":{\"text\":\"no model\"}}\n";
  EXPECT_FALSE(up());
  answer = "SSH-2.0-OpenSSH_9.2\r\n";
  EXPECT_FALSE(up());
}

TEST_F(Wyoming, IsDownWhereNobodyListens) {
  const auto port = acceptor.local_endpoint().port();
  acceptor.close();
  speak_to(port);
  EXPECT_EQ(done(service->healthy()).state, Health::State::down);
}

// --- Ollama: what service_test.cc's fake does not play ---

class Ollama : public Contract {
 protected:
  Ollama() {
    fake.on("GET /api/version", [](const Asked&) { return json{{"version", "0.33.0"}}; });
    fake.on("POST /api/generate", [this](const Asked&) -> Told {
      return starved
                 ? Told(500,
                        {{"error", "llama runner process has terminated: cudaMalloc failed: out of memory"}})
                 : Told(400, {{"error", "\"bge\" does not support generate"}});
    });
    fake.on("POST /api/embed", [this](const Asked& asked) {
      embedding_loaded = asked.body.at("model") == "bge" && asked.body.at("keep_alive") == -1;
      return json{{"embeddings", json::array()}};
    });
  }
  bool starved = false, embedding_loaded = false;
};

TEST_F(Ollama, LoadsWhatOnlyEmbeds) {
  speak(ServiceType::ollama);
  EXPECT_TRUE(up());
  EXPECT_EQ(load("bge"), kFine);
  EXPECT_TRUE(embedding_loaded);
}

TEST_F(Ollama, SaysThatMemoryRanOut) {
  speak(ServiceType::ollama);
  starved = true;
  EXPECT_EQ(load("big"), "out_of_memory");
}

}  // namespace
}  // namespace mgpu::service
