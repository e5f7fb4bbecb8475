// Services with a resident for each AI model, and Wyoming; see single_resident_contract_test.cc.
#include <set>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "service/contract_fixture.h"
#include "service/out_of_memory.h"
#include "service/wyoming_frame.h"

namespace mgpu::service {
namespace {

using config::ServiceType;
using fakes::text_response;
using nlohmann::json;

// --- LM Studio 0.4 ---

class LmStudio : public ContractFixture {
 protected:
  LmStudio() {
    fake.add_route("GET /api/v1/models", [this](const FakeRequest&) {
      json all = json::array();
      for (const auto& [key, ids] : instances) {
        json loaded = json::array();
        for (const auto& id : ids) loaded.push_back({{"id", id}});
        all.push_back({{"type", "llm"}, {"key", key}, {"size_bytes", 1000}, {"loaded_instances", loaded}});
      }
      return json{{"models", all}};
    });
    fake.add_route("POST /api/v1/models/load", [this](const FakeRequest& request) -> FakeResponse {
      const std::string key = request.body.at("model");
      if (out_of_memory)
        return {400,
                {{"error",
                  {{"type", "model_load_failed"},
                   {"message", "Model loading was stopped due to insufficient system resources."}}}}};
      auto& ids = instances[key];
      ids.insert(ids.empty() ? key : key + ":" + std::to_string(ids.size() + 1));
      return json{{"type", "llm"}, {"instance_id", key}, {"status", "loaded"}};
    });
    fake.add_route("POST /api/v1/models/unload", [this](const FakeRequest& request) -> FakeResponse {
      for (auto& [key, ids] : instances)
        if (ids.erase(request.body.at("instance_id")) > 0)
          return json{{"instance_id", request.body.at("instance_id")}};
      return {404, {{"error", "no such instance"}}};
    });
  }
  std::map<std::string, std::set<std::string>> instances{{"google/gemma", {}}, {"qwen", {}}};
  bool out_of_memory = false;
};

TEST_F(LmStudio, LoadsListsAndUnloadsByInstance) {
  create_service(ServiceType::lm_studio);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(load("google/gemma"), kSuccess);
  EXPECT_EQ(listed_names(), "google/gemma* qwen");
  EXPECT_EQ(await_result(service->list_ai_models())->front().file_bytes, Bytes{1000});
  EXPECT_EQ(load("google/gemma"), kSuccess);
  EXPECT_EQ(instances["google/gemma"].size(), 1u) << "no second instance of what is loaded";
  EXPECT_EQ(unload("google/gemma"), kSuccess);
  EXPECT_EQ(listed_names(), "google/gemma qwen");
}

TEST_F(LmStudio, UnloadsEveryInstance) {
  instances["qwen"] = {"qwen", "qwen:2"};
  create_service(ServiceType::lm_studio);
  EXPECT_EQ(unload("qwen"), kSuccess);
  EXPECT_TRUE(instances["qwen"].empty());
}

TEST_F(LmStudio, SaysThatMemoryRanOut) {
  create_service(ServiceType::lm_studio);
  out_of_memory = true;
  EXPECT_EQ(load("qwen"), "out_of_memory");
  EXPECT_EQ(load("nobody"), "not_found");
}

// --- LocalAI 4.9 ---

class LocalAi : public ContractFixture {
 protected:
  LocalAi() {
    fake.add_route("GET /readyz", [this](const FakeRequest&) -> FakeResponse {
      return {ready ? 200 : 503, {{"status", ready ? "ok" : "starting"}}};
    });
    fake.add_route("GET /v1/models",
                   [](const FakeRequest&) { return json{{"data", {{{"id", "phi"}}, {{"id", "bert"}}}}}; });
    fake.add_route("GET /system", [this](const FakeRequest&) {
      json all = json::array();
      for (const auto& name : loaded) all.push_back({{"id", name}, {"backend", "llama-cpp"}});
      return json{{"backends", {"llama-cpp"}}, {"loaded_models", all}};
    });
    fake.add_route("GET /backend/monitor", [](const FakeRequest& request) {
      return json{{"state", request.query_contains("phi") ? 1 : 2}};
    });
    fake.add_route("POST /backend/load", [this](const FakeRequest& request) -> FakeResponse {
      if (out_of_memory)
        return {500, {{"error", {{"code", 500}, {"message", "rpc error: cudaMalloc failed"}}}}};
      loaded.insert(request.body.at("model"));
      return json{{"message", "loaded"}};
    });
    fake.add_route("POST /backend/shutdown", [this](const FakeRequest& request) -> FakeResponse {
      if (loaded.erase(request.body.at("model")) == 0) return {404, {{"error", {{"message", "not loaded"}}}}};
      return json{{"message", "stopped"}};
    });
  }
  std::set<std::string> loaded;
  bool ready = true, out_of_memory = false;
};

TEST_F(LocalAi, LoadsListsAndUnloads) {
  create_service(ServiceType::localai);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(load("phi"), kSuccess);
  EXPECT_EQ(listed_names(), "phi* bert");
  EXPECT_EQ(active_requests(), 1u);
  EXPECT_EQ(unload("phi"), kSuccess);
  EXPECT_EQ(unload("phi"), kSuccess) << "gone already";
  EXPECT_EQ(listed_names(), "phi bert");
  ready = false;
  EXPECT_EQ(await_result(service->check_health()).state, Health::State::loading);
}

TEST_F(LocalAi, SaysThatMemoryRanOut) {
  create_service(ServiceType::localai);
  out_of_memory = true;
  EXPECT_EQ(load("phi"), "out_of_memory");
}

TEST_F(LocalAi, AnOlderOneLoadsWithItsFirstRequest) {
  fake.add_route("POST /backend/load",
                 [](const FakeRequest&) -> FakeResponse { return {404, {{"error", "Not Found"}}}; });
  create_service(ServiceType::localai);
  EXPECT_EQ(load("phi"), kSuccess);
}

// --- Speaches 0.9 ---

class Speaches : public ContractFixture {
 protected:
  Speaches() {
    fake.add_route("GET /health", [](const FakeRequest&) { return json{{"message", "OK"}}; });
    fake.add_route("GET /v1/models", [](const FakeRequest&) {
      return json{{"data", {{{"id", "org/whisper"}}, {{"id", "kokoro"}}}}};
    });
    fake.add_route("GET /api/ps", [this](const FakeRequest&) { return json{{"models", loaded}}; });
    fake.add_route("POST /api/ps/org/whisper", [this](const FakeRequest&) -> FakeResponse {
      if (out_of_memory)
        return text_response("Internal Server Error: CUDA failed with error out of memory", 500);
      if (!loaded.insert("org/whisper").second) return {409, {{"detail", "already loaded"}}};
      holds_memory = true;
      return {201, "created"};
    });
    fake.add_route("DELETE /api/ps/org/whisper", [this](const FakeRequest&) -> FakeResponse {
      if (loaded.erase("org/whisper") == 0) return {404, {{"detail", "not loaded"}}};
      if (in_use) return {409, {{"detail", "in use"}}};  // forgotten all the same
      holds_memory = false;
      return json("ok");
    });
    fake.add_route("DELETE /v1/models/org/whisper", [this](const FakeRequest&) {
      has_files = false;
      return json("ok");
    });
  }
  std::set<std::string> loaded;
  bool holds_memory = false, in_use = false, has_files = true, out_of_memory = false;
};

TEST_F(Speaches, LoadsListsAndUnloads) {
  create_service(ServiceType::speaches);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(load("org/whisper"), kSuccess);
  EXPECT_EQ(load("org/whisper"), kSuccess) << "409: already";
  EXPECT_EQ(listed_names(), "org/whisper* kokoro");
  EXPECT_EQ(unload("org/whisper"), kSuccess);
  EXPECT_FALSE(holds_memory);
  EXPECT_EQ(unload("org/whisper"), kSuccess) << "404: not there";
  EXPECT_EQ(load("nobody"), "not_found");
  EXPECT_TRUE(has_files);
}

TEST_F(Speaches, ForgetsWhatIsInUseButKeepsItsMemory) {
  create_service(ServiceType::speaches);
  EXPECT_EQ(load("org/whisper"), kSuccess);
  in_use = true;
  EXPECT_EQ(unload("org/whisper"), "service_down");
  EXPECT_TRUE(holds_memory);
  EXPECT_EQ(unload("org/whisper"), "service_down") << "404 now, and it is no proof";
  in_use = false;
  EXPECT_EQ(load("org/whisper"), kSuccess);
  EXPECT_EQ(unload("org/whisper"), kSuccess);
  EXPECT_FALSE(holds_memory);
}

TEST_F(Speaches, SaysThatMemoryRanOut) {
  create_service(ServiceType::speaches);
  out_of_memory = true;
  EXPECT_EQ(load("org/whisper"), "out_of_memory");
}

// --- Triton ---

class Triton : public ContractFixture {
 protected:
  Triton() {
    fake.add_route("GET /v2/health/ready", [](const FakeRequest&) { return text_response(""); });
    fake.add_route("POST /v2/repository/index", [this](const FakeRequest&) {
      if (unload_polls == 1) state = "UNAVAILABLE";
      unload_polls = std::max(unload_polls - 1, 0);
      return json{{{"name", "resnet"}, {"version", "1"}, {"state", state}},
                  {{"name", "resnet"}, {"version", "2"}, {"state", "UNAVAILABLE"}},
                  {{"name", "bert"}}};
    });
    fake.add_route("POST /v2/repository/models/resnet/load", [this](const FakeRequest&) -> FakeResponse {
      if (out_of_memory)
        return {400, {{"error", "load failed for model 'resnet': failed to allocate CUDA memory"}}};
      state = "READY";
      return text_response("");
    });
    fake.add_route("POST /v2/repository/models/resnet/unload", [this](const FakeRequest& request) {
      unloads_dependents = request.body.at("parameters").at("unload_dependents");
      state = "UNLOADING";
      unload_polls = 3;
      return text_response("");
    });
  }
  std::string state = "UNAVAILABLE";
  int unload_polls = 0;
  bool unloads_dependents = false, out_of_memory = false;
};

TEST_F(Triton, LoadsListsAndUnloads) {
  create_service(ServiceType::triton);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(listed_names(), "resnet bert");
  EXPECT_EQ(load("resnet"), kSuccess);
  EXPECT_EQ(listed_names(), "resnet* bert");
  EXPECT_EQ(unload("resnet"), kSuccess);
  EXPECT_EQ(state, "UNAVAILABLE") << "an unload that is answered for is not over";
  EXPECT_TRUE(unloads_dependents);
}

TEST_F(Triton, SaysThatMemoryRanOut) {
  create_service(ServiceType::triton);
  out_of_memory = true;
  EXPECT_EQ(load("resnet"), "out_of_memory");
  EXPECT_EQ(load("nobody"), "not_found");
}

// --- llama-server as a router ---

class LlamaRouter : public ContractFixture {
 protected:
  LlamaRouter() {
    fake.add_route("GET /models", [this](const FakeRequest&) {
      return json{{"data",
                   {{{"id", "a"}, {"status", {{"value", state}, {"failed", failed}}}},
                    {{"id", "b"}, {"status", {{"value", "unloaded"}}}}}}};
    });
    fake.add_route("POST /models/load", [this](const FakeRequest&) -> FakeResponse {
      if (state == "loaded") return {400, {{"error", {{"message", "model is already running"}}}}};
      state = failed ? "unloaded" : "loaded";
      return json{{"success", true}};
    });
    fake.add_route("GET /slots", [this](const FakeRequest& request) {
      loaded_by_query = loaded_by_query || !request.query_contains("autoload=false");
      return json{{{"id", 0}, {"is_processing", true}}};
    });
  }
  std::string state = "unloaded";
  bool failed = false, loaded_by_query = false;
};

TEST_F(LlamaRouter, IsLookedAtWithoutLoading) {
  create_service({.type = ServiceType::llama_server, .router = true});
  EXPECT_EQ(active_requests(), 0u);
  EXPECT_EQ(load("a"), kSuccess);
  EXPECT_EQ(load("a"), kSuccess) << "already";
  EXPECT_EQ(active_requests(), 1u);
  EXPECT_FALSE(loaded_by_query);
}

TEST_F(LlamaRouter, AChildThatFailsIsSaid) {
  create_service({.type = ServiceType::llama_server, .router = true});
  failed = true;
  EXPECT_EQ(load("a"), "load_failed");
  EXPECT_EQ(load("nobody"), "not_found");
}

// --- Wyoming ---

TEST(WyomingFrame, GoesThereAndBack) {
  const WyomingFrame chunk{
      .type = "audio-chunk", .data = {{"rate", 16000}}, .payload = std::string("\n\0sound", 7)};
  const auto wire = serialize_frame(chunk) + "{\"type\":\"next\"}\n";
  const auto read = parse_frame(wire);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->frame.type, "audio-chunk");
  EXPECT_EQ((*read)->frame.data, chunk.data);
  EXPECT_EQ((*read)->frame.payload, chunk.payload);
  EXPECT_EQ(parse_frame(std::string_view(wire).substr((*read)->consumed))->value().frame.type, "next");
}

TEST(WyomingFrame, MergesWhatFollowsItsLine) {
  const auto read = parse_frame("{\"type\":\"info\",\"data\":{\"a\":1},\"data_length\":7}\n{\"b\":2}");
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->frame.data, json({{"a", 1}, {"b", 2}}));
}

TEST(WyomingFrame, IsWaitedForUntilItIsComplete) {
  EXPECT_FALSE(parse_frame("{\"type\":")->has_value());
  EXPECT_FALSE(parse_frame("{\"type\":\"x\",\"payload_length\":3}\nab")->has_value());
}

TEST(WyomingFrame, RubbishIsRefused) {
  EXPECT_FALSE(parse_frame("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_FALSE(parse_frame("{\"type\":\"x\",\"data_length\":99999999999}\n"));
  EXPECT_FALSE(parse_frame("{\"type\":\"x\",\"data_length\":-1}\n"));
  EXPECT_FALSE(parse_frame("{\"type\":\"x\",\"data_length\":2}\nno"));
}

// Answers `describe` as the Python package does: the data after the line.
class Wyoming : public ContractFixture {
 protected:
  using tcp = boost::asio::ip::tcp;
  Wyoming() { boost::asio::co_spawn(io_, serve(), boost::asio::detached); }

  boost::asio::awaitable<void> serve() {
    for (;;) {
      auto socket = co_await acceptor.async_accept(boost::asio::use_awaitable);
      std::string bytes;
      while (bytes.find('\n') == bytes.npos) {
        char piece[256];
        bytes.append(piece,
                     co_await socket.async_read_some(boost::asio::buffer(piece), boost::asio::use_awaitable));
      }
      const auto request = parse_frame(bytes);
      const bool describe = request && *request && (*request)->frame.type == "describe";
      const std::string reply = describe ? response
                                         : R"({"type":"error","data":{"text":"what?"}})"
                                           "\n";
      co_await boost::asio::async_write(socket, boost::asio::buffer(reply), boost::asio::use_awaitable);
    }
  }
  void connect_to(std::uint16_t port) {
    service = *make_service({.type = ServiceType::wyoming},
                            {.scheme = http::Scheme::tcp, .host = "127.0.0.1", .port = port});
  }

  tcp::acceptor acceptor{io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::string response = "{\"type\":\"info\",\"version\":\"1.10.2\",\"data_length\":11}\n{\"asr\": []}";
};

TEST_F(Wyoming, DescribesItself) {
  connect_to(acceptor.local_endpoint().port());
  EXPECT_TRUE(is_up()) << await_result(service->check_health()).reason;
  EXPECT_EQ(load(), kSuccess) << "it loads at start";
  EXPECT_EQ(unload(), "not_supported");
}

TEST_F(Wyoming, IsDownWhereItSaysAnythingElse) {
  connect_to(acceptor.local_endpoint().port());
  response = "{\"type\":\"error\",\"data\":{\"text\":\"no model\"}}\n";
  EXPECT_FALSE(is_up());
  response = "SSH-2.0-OpenSSH_9.2\r\n";
  EXPECT_FALSE(is_up());
}

TEST_F(Wyoming, IsDownWhereNothingListens) {
  const auto port = acceptor.local_endpoint().port();
  acceptor.close();
  connect_to(port);
  EXPECT_EQ(await_result(service->check_health()).state, Health::State::down);
}

// --- Ollama: what the fake application of service_test.cc does not do ---

class Ollama : public ContractFixture {
 protected:
  Ollama() {
    fake.add_route("GET /api/version", [](const FakeRequest&) { return json{{"version", "0.33.0"}}; });
    fake.add_route("POST /api/generate", [this](const FakeRequest&) -> FakeResponse {
      return out_of_memory
                 ? FakeResponse(
                       500,
                       {{"error", "llama runner process has terminated: cudaMalloc failed: out of memory"}})
                 : FakeResponse(400, {{"error", "\"bge\" does not support generate"}});
    });
    fake.add_route("POST /api/embed", [this](const FakeRequest& request) {
      embedding_loaded = request.body.at("model") == "bge" && request.body.at("keep_alive") == -1;
      return json{{"embeddings", json::array()}};
    });
  }
  bool out_of_memory = false, embedding_loaded = false;
};

TEST_F(Ollama, LoadsWhatOnlyEmbeds) {
  create_service(ServiceType::ollama);
  EXPECT_TRUE(is_up());
  EXPECT_EQ(load("bge"), kSuccess);
  EXPECT_TRUE(embedding_loaded);
}

TEST_F(Ollama, SaysThatMemoryRanOut) {
  create_service(ServiceType::ollama);
  out_of_memory = true;
  EXPECT_EQ(load("big"), "out_of_memory");
}

}  // namespace
}  // namespace mgpu::service
