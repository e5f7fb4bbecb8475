// What an inference server is asked for, as far as memory follows from it: here, by its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::estimate {

struct InferenceOptions {
  std::vector<std::string> files{};  // its weights: -m, --model, --model-path, serve
  std::string folder{};              // where several AI models lie: --models-dir
  std::optional<std::uint64_t>
      context{};  // -c, --ctx-size, --max-model-len, --context-length; none or 0: as the file says
  std::optional<std::uint64_t> gpu_layers{};  // -ngl, --n-gpu-layers; none: all
  std::uint64_t batch = 512;                  // -ub, --ubatch-size
  std::uint64_t slots = 1;                    // -np, --parallel
  // Of one number in the cache: --cache-type-k, --kv-cache-dtype; none: as it is usual.
  std::optional<double> key_bytes{};
  std::optional<double> value_bytes{};
  // llama.cpp divides its context among the slots; Ollama has as much for each, and no more than the AI model
  // was trained for.
  bool context_per_slot = false;
};

// Words that it does not know, or numbers that are none, change nothing.
InferenceOptions parse_inference_options(const std::vector<std::string>& command);

// None: it is no number, or one of no use.
std::optional<std::uint64_t> parse_number(std::string_view text);

// Of one number in the cache, by its type's name in llama.cpp, vLLM or SGLang.
std::optional<double> cache_type_bytes(std::string_view type);

}  // namespace mgpu::estimate
