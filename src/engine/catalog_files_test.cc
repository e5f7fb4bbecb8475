#include "engine/catalog_files.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace mgpu::engine {
namespace {

namespace fs = std::filesystem;

const std::string kWeightsDigest = "sha256:" + std::string(64, 'a');
const std::string kOtherDigest = "sha256:" + std::string(64, 'b');
const std::string kConfigDigest = "sha256:" + std::string(64, 'c');

std::string manifest(const std::string& weights) {
  return R"({"config":{"digest":")" + kConfigDigest +
         R"(","size":10},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":")" + weights +
         R"(","size":1000},{"mediaType":"application/vnd.ollama.image.params","digest":"sha256:)" +
         std::string(64, 'd') + R"(","size":5}]})";
}

// A folder of its own for each test.
struct CatalogFilesTest : testing::Test {
  const fs::path folder =
      fs::path(testing::TempDir()) /
      ("catalog-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  CatalogFilesTest() { fs::remove_all(folder); }
  ~CatalogFilesTest() override { fs::remove_all(folder); }

  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((folder / path).parent_path());
    std::ofstream(folder / path) << text;
  }
  config::ConsumerConfig consumer(config::ServiceType type, std::vector<std::string> command = {}) const {
    config::ConsumerConfig config{.name = "c", .service = {.type = type}};
    config.process = config::ProcessConfig{.command = std::move(command), .env = {{"HOME", folder / "home"}}};
    return config;
  }
  static std::vector<std::string> names(CatalogFiles files) {
    std::vector<std::string> found;
    for (const AiModelFacts& each : files.read()) found.push_back(each.name);
    std::ranges::sort(found);
    return found;
  }
};

TEST_F(CatalogFilesTest, OllamasManifestsTellNamesAndDetails) {
  const std::string text = manifest(kWeightsDigest);
  write("m/manifests/registry.ollama.ai/library/llama3.2/3b", text);
  write(
      "m/blobs/sha256-" + std::string(64, 'c'),
      R"({"model_format":"gguf","model_family":"llama","model_families":["llama","clip"],"model_type":"3.2B","file_type":"Q4_K_M"})");
  auto config = consumer(config::ServiceType::ollama);
  config.process->env["OLLAMA_MODELS"] = folder / "m";
  CatalogFiles files(config);
  const auto read = files.read();
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].name, "llama3.2:3b");
  EXPECT_EQ(read[0].digest, sha256_hex(text));
  EXPECT_EQ(read[0].size, Bytes{1015});
  EXPECT_GT(read[0].modified_ms, 1'600'000'000'000);
  EXPECT_EQ(read[0].family, "llama");
  EXPECT_EQ(read[0].families, (std::vector<std::string>{"llama", "clip"}));
  EXPECT_EQ(read[0].parameter_size, "3.2B");
  EXPECT_EQ(read[0].quantization, "Q4_K_M");
  EXPECT_EQ(read[0].weights, kWeightsDigest);
}

TEST_F(CatalogFilesTest, OllamasNamesAreAsItShowsThem) {
  for (const char* path : {"registry.ollama.ai/library/a/latest", "registry.ollama.ai/me/b/1",
                           "hf.co/me/c/Q4", "registry.ollama.ai/library/.hidden/x", "too/short"})
    write(fs::path("home/.ollama/models/manifests") / path, manifest(kWeightsDigest));
  write("home/.ollama/models/manifests/registry.ollama.ai/library/broken/1", "no JSON");
  EXPECT_EQ(names(CatalogFiles(consumer(config::ServiceType::ollama))),
            (std::vector<std::string>{"a:latest", "hf.co/me/c:Q4", "me/b:1"}));
}

TEST_F(CatalogFilesTest, OnlyTheFolderOfTheVariableCountsIfItIsSet) {
  write("home/.ollama/models/manifests/registry.ollama.ai/library/home/1", manifest(kWeightsDigest));
  write("srv/manifests/registry.ollama.ai/library/srv/1", manifest(kWeightsDigest));
  const std::string variable = "OLLAMA_MODELS=" + (folder / "srv").string();
  EXPECT_EQ(names(CatalogFiles(consumer(config::ServiceType::ollama, {"env", variable, "ollama", "serve"}))),
            (std::vector<std::string>{"srv:1"}));
  EXPECT_EQ(names(CatalogFiles(
                consumer(config::ServiceType::ollama, {"env", "OLLAMA_MODELS=/nowhere", "ollama", "serve"}))),
            (std::vector<std::string>{}));
}

TEST_F(CatalogFilesTest, ChangesOfFilesAreSeen) {
  const fs::path path = "home/.ollama/models/manifests/registry.ollama.ai/library/a/1";
  write(path, manifest(kWeightsDigest));
  CatalogFiles files(consumer(config::ServiceType::ollama));
  const auto first = files.read();
  EXPECT_EQ(files.read(), first);
  write(path, manifest(kOtherDigest) + " ");
  EXPECT_EQ(files.read()[0].weights, kOtherDigest);
  fs::remove(folder / path);
  EXPECT_TRUE(files.read().empty());
}

TEST_F(CatalogFilesTest, ARoutersFolderAndPresets) {
  write("models/gemma-3-4b.gguf", "x");
  write("models/vision/mmproj-x.gguf", "x");
  write("models/vision/weights.gguf", "x");
  write("models/split/x-00001-of-00002.gguf", "x");
  write("models/split/x-00002-of-00002.gguf", "x");
  write("models/empty/readme.md", "x");
  write("models/notes.txt", "x");
  write("presets.ini", "version = 1\n[*]\nc = 4096\n[ coder ]  ; comment\nmodel = /x.gguf\n[gemma-3-4b]\n");
  const auto command = [&](std::vector<std::string> options) {
    options.insert(options.begin(), "llama-server");
    return consumer(config::ServiceType::llama_server, std::move(options));
  };
  const std::string models = folder / "models", presets = folder / "presets.ini";
  EXPECT_EQ(names(CatalogFiles(command({"--models-dir", models, "--models-preset=" + presets}))),
            (std::vector<std::string>{"coder", "gemma-3-4b", "split", "vision"}));
  config::ConsumerConfig by_environment = command({});
  by_environment.process->env["LLAMA_ARG_MODELS_PRESET"] = presets;
  EXPECT_EQ(names(CatalogFiles(by_environment)), (std::vector<std::string>{"coder", "gemma-3-4b"}));
}

TEST_F(CatalogFilesTest, RepositoriesOfOtherServices) {
  write("local/a.yaml", "# x\nname: \"first one\" # y\nparameters:\n  name: no\n");
  write("local/b.yml", "backend: x\n");
  write("triton/resnet/config.pbtxt", "x");
  write("triton/file", "x");
  EXPECT_EQ(names(CatalogFiles(
                consumer(config::ServiceType::localai, {"local-ai", "--models-path", folder / "local"}))),
            (std::vector<std::string>{"first one"}));
  EXPECT_EQ(
      names(CatalogFiles(consumer(config::ServiceType::triton,
                                  {"tritonserver", "--model-repository=" + (folder / "triton").string()}))),
      (std::vector<std::string>{"resnet"}));
}

TEST_F(CatalogFilesTest, WhoHasFiles) {
  EXPECT_TRUE(has_catalog_files(consumer(config::ServiceType::ollama)));
  EXPECT_FALSE(has_catalog_files(consumer(config::ServiceType::llama_server))) << "not a router";
  EXPECT_FALSE(has_catalog_files(consumer(config::ServiceType::vllm)));
  config::ConsumerConfig container{.service = {.type = config::ServiceType::ollama}};
  container.container = config::ContainerConfig{.image = "ollama/ollama"};
  EXPECT_FALSE(has_catalog_files(container)) << "its folders are not the host's";
  container.weights = {"/srv/ollama"};
  EXPECT_TRUE(has_catalog_files(container));
}

}  // namespace
}  // namespace mgpu::engine
