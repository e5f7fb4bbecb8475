// libFuzzer: files of weights are untrusted. For any input the parsers must terminate, use little memory, and
// return plausible sums. The same bytes are parsed as each of the formats.
#include "estimate/gguf.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "estimate/memory_estimate.h"
#include "estimate/ollama.h"
#include "estimate/safetensors.h"
#include "estimate/transformer_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mgpu;
  const auto head = std::as_bytes(std::span(data, size));
  const std::uint64_t file_size = size + 1000;
  if (const auto gguf = estimate::parse_gguf(head, file_size)) {
    const estimate::MemoryEstimate memory = estimate::estimate_memory(*gguf, {.slots = 4});
    if (memory.weights < Bytes{} || memory.cache < Bytes{} || memory.compute < Bytes{}) std::abort();
    if (memory.weights.count > static_cast<std::int64_t>(file_size)) std::abort();
  }
  if (const auto bytes = estimate::tensor_bytes(head, file_size))
    if (*bytes < Bytes{} || bytes->count > static_cast<std::int64_t>(file_size)) std::abort();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  [[maybe_unused]] const auto files = estimate::indexed_files(text);
  if (const auto path = estimate::manifest_path(text); path && path->contains("/..")) std::abort();
  if (const auto parts = estimate::parse_manifest(text))
    for (const std::string& blob : parts->weights)
      if (blob.rfind('/') != 5) std::abort();
  const estimate::InferenceOptions options = estimate::ollama_inference_options(text, {.parallel = "4"});
  if (const auto transformer = estimate::parse_transformer_config(text))
    if (estimate::kv_cache_bytes(*transformer, options) < Bytes{}) std::abort();
  return 0;
}
