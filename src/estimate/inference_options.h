// The options of an inference server that determine its memory, parsed from its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::estimate {

struct InferenceOptions {
  std::vector<std::string> files{};  // weights: -m, --model, --model-path, serve
  std::string folder{};              // folder of several AI models: --models-dir
  // Tokens: -c, --ctx-size, --max-model-len, --context-length; unset or 0: as in the file
  std::optional<std::uint64_t> context{};
  std::optional<std::uint64_t> gpu_layers{};  // -ngl, --n-gpu-layers; unset: all
  std::uint64_t batch = 512;                  // -ub, --ubatch-size
  std::uint64_t slots = 1;                    // -np, --parallel
  // Bytes of one number in the KV cache: --cache-type-k, --kv-cache-dtype; unset: the default.
  std::optional<double> key_bytes{};
  std::optional<double> value_bytes{};
  // False: the slots share the context (llama.cpp). True: each slot has the whole context, limited to the
  // trained one (Ollama).
  bool context_per_slot = false;
};

// Ignores unknown options and invalid numbers.
InferenceOptions parse_inference_options(const std::vector<std::string>& command);

// nullopt: not a number, or greater than 2^32.
std::optional<std::uint64_t> parse_number(std::string_view text);

// Bytes of one number in the KV cache, by the name of its type in llama.cpp, vLLM or SGLang; nullopt:
// unknown.
std::optional<double> cache_type_bytes(std::string_view type);

}  // namespace mgpu::estimate
