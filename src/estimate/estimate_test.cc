#include <cstring>

#include <gtest/gtest.h>

#include "estimate/gguf.h"
#include "estimate/gguf_writer.h"
#include "estimate/inference_options.h"
#include "estimate/llama_presets.h"
#include "estimate/memory_estimate.h"
#include "estimate/ollama.h"
#include "estimate/safetensors.h"
#include "estimate/transformer_config.h"

namespace mgpu::estimate {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(ParseGguf, ReadsTheValuesForMemory) {
  const std::string head = llama_gguf().header();

  const auto gguf = parse_gguf(bytes_of(head), head.size() + 9000);

  ASSERT_TRUE(gguf) << gguf.error().detail;
  EXPECT_EQ(gguf->architecture, "llama");
  EXPECT_EQ(gguf->layers, 32U);
  EXPECT_EQ(gguf->kv_heads, std::vector<std::uint64_t>{8});
  EXPECT_EQ(gguf->key_length, 128U) << "embedding / heads";
  EXPECT_EQ(gguf->vocabulary, 1000U);
  EXPECT_EQ(gguf->weights, Bytes{9000});
  EXPECT_EQ(gguf->host_only, Bytes{3000}) << "the embeddings stay in host memory";
}

TEST(ParseGguf, EveryTruncatedHeaderIsRejected) {
  const std::string head = llama_gguf().header();
  const std::size_t described = head.find_last_not_of('\0') + 1;
  for (std::size_t size = 0; size < described - 8; ++size)
    EXPECT_FALSE(parse_gguf(bytes_of(head.substr(0, size)), head.size() + 9000)) << size;
}

TEST(ParseGguf, WrongCountsAreRejectedQuickly) {
  std::string head = llama_gguf().header();
  const std::uint64_t huge = ~0ULL;
  for (const std::size_t at : {8UL, 16UL}) {
    std::string lying = head;
    std::memcpy(lying.data() + at, &huge, sizeof huge);
    const auto refused = parse_gguf(bytes_of(lying), head.size());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_request);
  }
}

TEST(ParseGguf, OtherFilesAndVersionsAreRejected) {
  EXPECT_FALSE(parse_gguf(bytes_of("PK\3\4, a zip file"), 100));
  EXPECT_FALSE(parse_gguf(bytes_of(llama_gguf().header(1)), 10'000));
}

TEST(EstimateMemory, TheCacheGrowsWithContextAndShrinksWithItsType) {
  const std::string head = llama_gguf().header();
  const auto gguf = parse_gguf(bytes_of(head), head.size() + 9000);
  ASSERT_TRUE(gguf);

  // 32 layers x 8192 cells x 8 heads x (128 + 128) numbers x 2 bytes
  EXPECT_EQ(estimate_memory(*gguf, {.context = 8192}).cache, kGiB);
  EXPECT_EQ(estimate_memory(*gguf, {.context = 16384}).cache, kGiB * 2);
  EXPECT_EQ(estimate_memory(*gguf, {}).cache, kGiB * 16) << "without an option: the trained context";
  EXPECT_EQ(estimate_memory(*gguf, {.context = 8192, .key_bytes = 34.0 / 32, .value_bytes = 34.0 / 32}).cache,
            kMiB * 544);
  EXPECT_EQ(estimate_memory(*gguf, {.context = 8192}).weights, Bytes{6000});
  EXPECT_EQ(estimate_memory(*gguf, {.context = 8192, .gpu_layers = 16}).cache, kMiB * 512);
  EXPECT_EQ(estimate_memory(*gguf, {.context = 8192, .gpu_layers = 0}).sum(), Bytes{});
}

// Gemma 3 270M, with sizes reported by llama.cpp (build of November 2026): 3 full layers, 15 with a window of
// 512.
TEST(EstimateMemory, WindowedLayersHaveABoundedCache) {
  GgufWriter file;
  file.text("general.architecture", "gemma3")
      .number("gemma3.block_count", 18)
      .number("gemma3.context_length", 32768)
      .number("gemma3.embedding_length", 640)
      .number("gemma3.feed_forward_length", 2048)
      .number("gemma3.attention.head_count", 4)
      .number("gemma3.attention.head_count_kv", 1)
      .number("gemma3.attention.key_length", 256)
      .number("gemma3.attention.value_length", 256)
      .number("gemma3.attention.sliding_window", 512)
      .strings("tokenizer.ggml.tokens", 10)
      .tensor("token_embd.weight", 0);
  const std::string head = file.header();
  const auto gguf = parse_gguf(bytes_of(head), head.size() + 100);
  ASSERT_TRUE(gguf) << gguf.error().detail;

  EXPECT_EQ(estimate_memory(*gguf, {.context = 512}).cache, kMiB * 9);
  EXPECT_EQ(estimate_memory(*gguf, {.context = 4096}).cache, kMiB * 27);
  EXPECT_EQ(estimate_memory(*gguf, {.context = 32768}).cache, kMiB * 111);
  EXPECT_EQ(gguf->host_only, Bytes{}) << "the output layer shares the embeddings";
}

TEST(EstimateMemory, HeadsMayDifferByLayer) {
  const GgufHeader gguf{.layers = 3, .kv_heads = {4, 0, 2}, .key_length = 64, .value_length = 64};
  EXPECT_EQ(estimate_memory(gguf, {.context = 256}).cache, Bytes{256 * 6 * 128 * 2});
}

const std::string kDigest(64, 'a');

TEST(Ollama, ANameGivesThePathOfItsManifest) {
  EXPECT_EQ(manifest_path("llama3.2:3b"), "manifests/registry.ollama.ai/library/llama3.2/3b");
  EXPECT_EQ(manifest_path("llama3.2"), "manifests/registry.ollama.ai/library/llama3.2/latest");
  EXPECT_EQ(manifest_path("ada/chat:v2"), "manifests/registry.ollama.ai/ada/chat/v2");
  EXPECT_EQ(manifest_path("hf.co/bartowski/Qwen3-GGUF:Q4_K_M"),
            "manifests/hf.co/bartowski/Qwen3-GGUF/Q4_K_M");
  for (const char* name :
       {"", "..", "../../etc:passwd", "a/../b:c", "/etc/passwd", "a//b", "a/b/c/d", "x:", ".x", "a b"})
    EXPECT_FALSE(manifest_path(name)) << name;
}

TEST(Ollama, AManifestListsBlobsByMediaType) {
  const std::string other(64, 'b');
  const auto parts =
      parse_manifest(R"({"schemaVersion":2,"config":{"digest":"sha256:c"},"layers":[)"
                     R"({"mediaType":"application/vnd.ollama.image.projector","digest":"sha256:)" +
                     other +
                     R"("},)"
                     R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" +
                     kDigest +
                     R"(","size":9},)"
                     R"({"mediaType":"application/vnd.ollama.image.license","digest":"sha256:)" +
                     other +
                     R"("},)"
                     R"({"mediaType":"application/vnd.ollama.image.params","digest":"sha256:)" +
                     other + R"("}]})");
  ASSERT_TRUE(parts) << parts.error().detail;
  EXPECT_EQ(parts->weights, (std::vector<std::string>{"blobs/sha256-" + kDigest, "blobs/sha256-" + other}));
  EXPECT_EQ(parts->parameters, "blobs/sha256-" + other);
}

TEST(Ollama, AManifestWithOtherPathsIsRejected) {
  const auto with = [](const std::string& layer) { return "{\"layers\":[" + layer + "]}"; };
  const std::string model = R"("mediaType":"application/vnd.ollama.image.model","digest":)";
  EXPECT_FALSE(parse_manifest(with("{" + model + R"("sha256:../../../etc/passwd"})")));
  EXPECT_FALSE(parse_manifest(with("{" + model + R"("sha256:abc"})")));
  EXPECT_FALSE(parse_manifest(with("{" + model + "7}")));
  EXPECT_FALSE(parse_manifest(with("7")));
  EXPECT_FALSE(parse_manifest(R"({"layers":"none"})"));
  EXPECT_FALSE(parse_manifest("[]"));
  EXPECT_FALSE(parse_manifest("no json"));
}

TEST(Ollama, APathGivesTheNameThatItShows) {
  EXPECT_EQ(name_of_manifest("registry.ollama.ai/library/llama3.2/3b"), "llama3.2:3b");
  EXPECT_EQ(name_of_manifest("registry.ollama.ai/me/mine/latest"), "me/mine:latest");
  EXPECT_EQ(name_of_manifest("hf.co/library/mine/Q4"), "hf.co/library/mine:Q4");
  for (const char* path : {"", "a/b/c", "a/b/c/d/e", "../b/c/d", "a//c/d"})
    EXPECT_EQ(name_of_manifest(path), "");
}

TEST(Ollama, AManifestTellsSizeAndWeights) {
  const std::string a = "sha256:" + std::string(64, 'a'), b = "sha256:" + std::string(64, 'b');
  const auto summary =
      summarize_manifest(R"({"config":{"digest":")" + b +
                         R"(","size":7},"layers":[)"
                         R"({"mediaType":"application/vnd.ollama.image.model","digest":")" +
                         a + R"(","size":100},{"mediaType":"x","digest":"y","size":-1},3]})");
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->size, Bytes{107});
  EXPECT_EQ(summary->weights, a);
  EXPECT_EQ(summary->details, "blobs/sha256-" + std::string(64, 'b'));
  EXPECT_EQ(summarize_manifest(R"({"layers":[]})")->weights, "") << "computed elsewhere";
  for (const char* text : {"", "[]", "{}", "no JSON"}) EXPECT_FALSE(summarize_manifest(text)) << text;
  EXPECT_EQ(parse_details(R"({"model_family":5,"file_type":"Q8_0","model_families":null})").quantization,
            "Q8_0");
}

TEST(LlamaPresets, AreNamedByTheirSections) {
  EXPECT_EQ(preset_names("version = 1\r\n; [no]\n[*]\nc = 1\n[a/b:Q4_K_M] # x\n  [ c ]\nx = [d]\n[]\n[open"),
            (std::vector<std::string>{"a/b:Q4_K_M", "c"}));
}

TEST(Ollama, TheContextComesFromTheAIModelThenTheServerThenTheDevices) {
  EXPECT_EQ(ollama_inference_options(R"({"num_ctx":8192,"stop":["x"]})", {.context = "16384"}).context,
            8192U);
  EXPECT_EQ(ollama_inference_options("", {.context = "16384"}).context, 16384U);
  EXPECT_EQ(ollama_inference_options("", {.context = "0", .device_memory = kGiB * 8}).context, 4096U);
  EXPECT_EQ(ollama_inference_options("", {.device_memory = kMiB * 24564}).context, 32768U);
  EXPECT_EQ(ollama_inference_options("", {.device_memory = kGiB * 48}).context, 262144U);
  EXPECT_EQ(ollama_inference_options(R"({"num_gpu":16,"num_batch":256})", {.cache_type = "q8_0"}).gpu_layers,
            16U);
  EXPECT_EQ(ollama_inference_options(R"({"num_gpu":-1})", {.cache_type = "q8_0"}).gpu_layers, std::nullopt);
  EXPECT_EQ(ollama_inference_options("", {.cache_type = "q8_0"}).key_bytes, 34.0 / 32);
}

TEST(Ollama, EverySlotHasTheContextLimitedToTheTrainedOne) {
  const std::string head = llama_gguf().header();
  const auto gguf = parse_gguf(bytes_of(head), head.size() + 9000);
  ASSERT_TRUE(gguf);
  const OllamaSettings four{.context = "8192", .parallel = "4"};
  EXPECT_EQ(estimate_memory(*gguf, ollama_inference_options("", four)).cache, kGiB * 4);
  EXPECT_EQ(estimate_memory(*gguf, ollama_inference_options("", {.device_memory = kGiB * 80})).cache,
            kGiB * 16);
}

TEST(ParseInferenceOptions, ReadsOptionsOfLlamaServer) {
  const InferenceOptions options =
      parse_inference_options({"llama-server", "-m", "chat.gguf", "--ctx-size", "8192", "-ngl", "20",
                               "--cache-type-k=q8_0", "-np", "4", "--port", "0"});
  EXPECT_EQ(options.files, std::vector<std::string>{"chat.gguf"});
  EXPECT_EQ(options.context, 8192U);
  EXPECT_EQ(options.gpu_layers, 20U);
  EXPECT_EQ(options.key_bytes, 34.0 / 32);
  EXPECT_EQ(options.value_bytes, std::nullopt);
  EXPECT_EQ(options.slots, 4U);
}

TEST(ParseInferenceOptions, ReadsOptionsOfOtherServers) {
  const InferenceOptions vllm = parse_inference_options(
      {"vllm", "serve", "/srv/qwen3", "--max-model-len", "8192", "--kv-cache-dtype", "fp8_e4m3"});
  EXPECT_EQ(vllm.files, std::vector<std::string>{"/srv/qwen3"});
  EXPECT_EQ(vllm.context, 8192U);
  EXPECT_EQ(vllm.key_bytes, 1);
  const InferenceOptions sglang = parse_inference_options(
      {"python", "-m", "sglang.launch_server", "--model-path", "/srv/qwen3", "--context-length=4096"});
  EXPECT_EQ(sglang.files, std::vector<std::string>{"/srv/qwen3"});
  EXPECT_EQ(sglang.context, 4096U);
}

TEST(ParseInferenceOptions, IgnoresInvalidNumbers) {
  const InferenceOptions options =
      parse_inference_options({"llama-server", "-ngl", "all", "-ub", "many", "-m"});
  EXPECT_EQ(options.gpu_layers, std::nullopt);
  EXPECT_EQ(options.batch, 512U);
  EXPECT_TRUE(options.files.empty());
}

std::string safetensors_header(const std::string& json) {
  const std::uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + json;
}

TEST(TensorBytes, SumsUpTheTensorsInTheHeader) {
  const std::string head = safetensors_header(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,5],"data_offsets":[0,20]},)"
      R"("b":{"dtype":"F32","shape":[10],"data_offsets":[20,60]}})");
  EXPECT_EQ(tensor_bytes(bytes_of(head), head.size() + 60), Bytes{60});
}

TEST(TensorBytes, RejectsMalformedHeaders) {
  const std::string outside = safetensors_header(R"({"a":{"data_offsets":[0,999]}})");
  EXPECT_FALSE(tensor_bytes(bytes_of(outside), outside.size() + 60));
  const std::string backwards = safetensors_header(R"({"a":{"data_offsets":[9,0]}})");
  EXPECT_FALSE(tensor_bytes(bytes_of(backwards), backwards.size() + 60));
  const std::string cut = safetensors_header(R"({"a":{"data_offsets":[0,9]}})").substr(0, 20);
  EXPECT_EQ(tensor_bytes(bytes_of(cut), 1000).error().code, ErrorCode::unavailable);
  EXPECT_FALSE(tensor_bytes(bytes_of("short"), 5));
}

TEST(IndexedFiles, ListsEachShardOnce) {
  EXPECT_EQ(
      indexed_files(
          R"({"metadata":{},"weight_map":{"a":"m-2.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}})"),
      (std::vector<std::string>{"m-1.safetensors", "m-2.safetensors"}));
  for (const char* text : {"no json", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":{"a":7}})",
                           R"({"weight_map":{"a":"../../etc/passwd"}})"})
    EXPECT_FALSE(indexed_files(text)) << text;
}

// Llama 3.1 8B: 32 layers, 8 heads of 128.
TEST(Transformer, TheCacheHasKeysAndValuesOfEveryHead) {
  const auto llama = parse_transformer_config(
      R"({"architectures":["LlamaForCausalLM"],"num_hidden_layers":32,"hidden_size":4096,
    "num_attention_heads":32,"num_key_value_heads":8,"max_position_embeddings":131072,"torch_dtype":"bfloat16"})");
  ASSERT_TRUE(llama) << llama.error().detail;
  EXPECT_EQ(kv_cache_bytes(*llama, {.context = 8192}), kGiB);
  EXPECT_EQ(kv_cache_bytes(*llama, {}), kGiB * 16) << "without an option: the trained context";
  EXPECT_EQ(kv_cache_bytes(*llama, {.context = 8192, .key_bytes = 1}), kMiB * 512);
}

TEST(Transformer, HeadWidthNumberTypeAndUnsharedHeadsCount) {
  const auto gemma = parse_transformer_config(
      R"({"architectures":["GemmaForCausalLM"],"num_hidden_layers":2,"hidden_size":640,
    "num_attention_heads":4,"head_dim":256,"max_position_embeddings":1024,"dtype":"float32"})");
  ASSERT_TRUE(gemma);
  EXPECT_EQ(kv_cache_bytes(*gemma, {}), Bytes{2 * 1024 * (2 * 4 * 256) * 4});
}

TEST(Transformer, LayersWithASmallerCacheCountLess) {
  const std::string figures =
      R"("num_hidden_layers":4,"num_attention_heads":2,"head_dim":64,"sliding_window":512,
    "max_position_embeddings":4096)";
  const std::int64_t bytes_per_token = 2 * 2 * 64 * 2;
  const auto cache = [&](const std::string& more) {
    const auto read =
        parse_transformer_config(R"({"architectures":["XForCausalLM"],)" + figures + more + "}");
    return read ? kv_cache_bytes(*read, {}) : Bytes{};
  };
  EXPECT_EQ(
      cache(
          R"(,"layer_types":["full_attention","sliding_attention","sliding_attention","linear_attention"])"),
      Bytes{bytes_per_token * (4096 + 2 * 512)});
  EXPECT_EQ(cache(R"(,"sliding_window_pattern":2)"), Bytes{bytes_per_token * (2 * 4096 + 2 * 512)});
  EXPECT_EQ(cache(R"(,"full_attention_interval":4)"), Bytes{bytes_per_token * 4096});
  EXPECT_EQ(cache(R"(,"kv_lora_rank":500,"qk_rope_head_dim":12)"), Bytes{4 * 4096 * 512 * 2}) << "compressed";
}

TEST(Transformer, AMultimodalConfigHasATextPart) {
  const auto multimodal =
      parse_transformer_config(R"({"architectures":["SeesForConditionalGeneration"],"torch_dtype":"float16",
    "vision_config":{"num_hidden_layers":99},
    "text_config":{"num_hidden_layers":2,"num_attention_heads":2,"head_dim":64,"max_position_embeddings":100}})");
  ASSERT_TRUE(multimodal);
  EXPECT_EQ(kv_cache_bytes(*multimodal, {}), Bytes{2 * 100 * (2 * 2 * 64) * 2});
}

TEST(Transformer, ANonGenerativeAIModelIsRejected) {
  EXPECT_FALSE(parse_transformer_config(
      R"({"architectures":["BertModel"],"num_hidden_layers":12,"num_attention_heads":12,
    "hidden_size":768,"max_position_embeddings":512})"));
  for (const char* text : {"no json", "[]", "{}", R"({"architectures":"LlamaForCausalLM"})",
                           R"({"architectures":["LlamaForCausalLM"],"num_hidden_layers":-3})",
                           R"({"architectures":["LlamaForCausalLM"],"num_hidden_layers":3})",
                           R"({"architectures":[7],"num_hidden_layers":"many"})"})
    EXPECT_FALSE(parse_transformer_config(text)) << text;
}

}  // namespace
}  // namespace mgpu::estimate
