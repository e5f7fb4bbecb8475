// Estimates from files in the layouts that applications use.
#include "engine/footprint_estimate.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/weights.h"

#include "estimate/gguf.h"
#include "estimate/gguf_writer.h"
#include "estimate/memory_estimate.h"

namespace mgpu::engine {
namespace {

namespace fs = std::filesystem;
using config::ConsumerConfig;
using config::ServiceType;

const std::string kWeightsBlob = "sha256-" + std::string(64, 'a');
const std::string kParametersBlob = "sha256-" + std::string(64, 'b');

class EstimatedFootprint : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "mgpu-weights-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& path, const std::string& content) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path, std::ios::binary) << content;
  }
  static std::string llama_file() { return estimate::llama_gguf().header() + std::string(9000, 'w'); }

  void store_in_ollama(const std::string& name, const std::string& parameters) const {
    const auto layer = [](const char* what, std::string blob) {
      blob[blob.find('-')] = ':';
      return std::string(R"({"mediaType":"application/vnd.ollama.image.)") + what + R"(","digest":")" + blob +
             "\"}";
    };
    write("manifests/registry.ollama.ai/library/" + name,
          R"({"layers":[)" + layer("model", kWeightsBlob) + "," + layer("params", kParametersBlob) + "]}");
    write("blobs/" + kWeightsBlob, llama_file());
    write("blobs/" + kParametersBlob, parameters);
  }

  ConsumerConfig ollama_config() const {
    ConsumerConfig consumer{.name = "ollama", .weights = {folder_}};
    consumer.service.type = ServiceType::ollama;
    return consumer;
  }
  ConsumerConfig router_config(std::vector<std::string> more = {}) const {
    config::ProcessConfig process{.command = {"llama-server", "--models-dir", folder_}};
    process.command.insert(process.command.end(), more.begin(), more.end());
    ConsumerConfig consumer{.name = "router", .process = std::move(process)};
    consumer.service.type = ServiceType::llama_server;
    consumer.service.router = true;
    return consumer;
  }

  fs::path folder_;
};

// The estimate for the AI model with this context size.
Bytes footprint_with_context(std::uint64_t context) {
  const std::string file = estimate::llama_gguf().header();
  const auto gguf = estimate::parse_gguf(std::as_bytes(std::span(file)), file.size() + 9000);
  return estimate::estimate_memory(*gguf, {.context = context}).sum() + estimate::kCudaContext;
}

Bytes bytes_of(const std::optional<FootprintEstimate>& estimate) {
  return estimate ? estimate->bytes : Bytes{};
}

TEST_F(EstimatedFootprint, OfOneOfOllamasIsOfTheBlobThatItsManifestNames) {
  store_in_ollama("llama3.2/3b", R"({"num_ctx":8192})");

  const auto estimate = estimate_footprint(ollama_config(), "llama3.2:3b", kGiB * 8);

  ASSERT_TRUE(estimate);
  EXPECT_EQ(estimate->bytes, footprint_with_context(8192));
  EXPECT_EQ(estimate->source_file, "sha256-aaaaaaaaaaaa");
  EXPECT_FALSE(estimate_footprint(ollama_config(), "llama3.2:70b", kGiB * 8));
}

TEST_F(EstimatedFootprint, OllamasFolderIsWhereItsEnvironmentSays) {
  store_in_ollama("llama3.2/latest", "");
  ConsumerConfig consumer = ollama_config();
  consumer.weights.clear();
  consumer.process = config::ProcessConfig{
      .command = {"ollama", "serve"},
      .env = {{"OLLAMA_MODELS", folder_}, {"OLLAMA_CONTEXT_LENGTH", "16384"}, {"HOME", "/nowhere"}}};

  EXPECT_EQ(bytes_of(estimate_footprint(consumer, "llama3.2:latest", kGiB * 8)),
            footprint_with_context(16384));

  consumer.process->env["OLLAMA_MODELS"] = "";
  EXPECT_FALSE(estimate_footprint(consumer, "llama3.2:latest", kGiB * 8));
  consumer.process->env["HOME"] = folder_;
  fs::create_directory(folder_ / ".ollama");
  fs::create_directory_symlink(folder_, folder_ / ".ollama/models");
  EXPECT_EQ(bytes_of(estimate_footprint(consumer, "llama3.2:latest", kGiB * 8)),
            footprint_with_context(16384))
      << "where it is usual";
}

TEST_F(EstimatedFootprint, OfARoutersIsOfTheFileOrFolderWithItsName) {
  write("alone.gguf", llama_file());
  write("seeing/seeing.gguf", llama_file());
  const std::string projector =
      estimate::GgufWriter().text("general.architecture", "clip").header() + std::string(5000, 'p');
  write("seeing/mmproj-F16.gguf", projector);

  const auto alone = estimate_footprint(router_config({"-c", "8192"}), "alone", {});
  const auto seeing = estimate_footprint(router_config({"-c", "8192"}), "seeing", {});

  EXPECT_EQ(bytes_of(alone), footprint_with_context(8192));
  EXPECT_EQ(alone->source_file, "alone.gguf");
  EXPECT_EQ(bytes_of(seeing),
            footprint_with_context(8192) + Bytes{static_cast<std::int64_t>(projector.size())})
      << "what sees pictures is loaded as well";
  EXPECT_FALSE(estimate_footprint(router_config(), "other", {}));
  EXPECT_FALSE(estimate_footprint(router_config(), ".", {}));
  EXPECT_FALSE(estimate_footprint(router_config(), "../" + folder_.filename().string() + "/alone", {}))
      << "a way out";
  EXPECT_FALSE(estimate_footprint(router_config(), (folder_ / "alone").string(), {}));
}

TEST_F(EstimatedFootprint, OfACheckpointHasTheShardsOfItsIndexAndTheCacheOfItsConfiguration) {
  const auto tensors = [](std::uint64_t bytes) {
    const std::string json = R"({"a":{"data_offsets":[0,)" + std::to_string(bytes) + "]}}";
    const std::uint64_t length = json.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + json +
           std::string(bytes, 'w');
  };
  write("model-00001-of-00002.safetensors", tensors(3000));
  write("model-00002-of-00002.safetensors", tensors(4000));
  write("consolidated.safetensors", tensors(7000));
  write("model.safetensors.index.json",
        R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  config::ProcessConfig process{.command = {"vllm", "serve", folder_, "--max-model-len", "8192"}};
  ConsumerConfig consumer{.name = "vllm", .process = std::move(process)};
  consumer.service.type = ServiceType::vllm;

  EXPECT_EQ(bytes_of(estimate_footprint(consumer, "", {})), estimate::kCudaContext + Bytes{7000});

  write("config.json", R"({"architectures":["LlamaForCausalLM"],"num_hidden_layers":32,"hidden_size":4096,
    "num_attention_heads":32,"num_key_value_heads":8,"max_position_embeddings":131072,"torch_dtype":"bfloat16"})");
  const auto whole = estimate_footprint(consumer, "", {});
  EXPECT_EQ(bytes_of(whole), estimate::kCudaContext + Bytes{7000} + kGiB);
  EXPECT_EQ(whole->source_file, "model-00001-of-00002.safetensors and 1 more file");
}

TEST_F(EstimatedFootprint, OfAContainersIsNotOfTheHostsFiles) {
  write("alone.gguf", llama_file());
  ConsumerConfig consumer = router_config();
  consumer.container = config::ContainerConfig{.image = "llama", .command = consumer.process->command};
  consumer.process.reset();

  EXPECT_FALSE(estimate_footprint(consumer, "alone", {}));
  consumer.weights = {folder_};
  EXPECT_TRUE(estimate_footprint(consumer, "alone", {})) << "unless the configuration says where they are";
}

// Opening a FIFO without a writer would block forever.
TEST_F(EstimatedFootprint, OfAPipeIsUnknownAndIsNotWaitedFor) {
  const std::string pipe = folder_ / "weights.gguf";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(read_file_head(pipe, 4), "");
  for (const std::string& weights : {pipe, std::string("/dev/zero"), folder_.string()}) {
    const ConsumerConfig consumer{.name = "chat", .weights = {weights}};
    EXPECT_FALSE(estimate_footprint(consumer, "", kGiB * 8)) << weights;
  }
}

}  // namespace
}  // namespace mgpu::engine
