// Parses the config.json that Hugging Face's transformers write next to safetensors files, for the size of
// the KV cache. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

#include "estimate/inference_options.h"

namespace mgpu::estimate {

inline constexpr std::size_t kMaxTransformerConfig = 1U << 20;

struct TransformerConfig {
  std::uint64_t full_layers = 0;  // with a cache for the whole context
  std::uint64_t windowed_layers = 0;
  std::uint64_t window = 0;             // tokens in the cache of a windowed layer
  std::uint64_t numbers_per_token = 0;  // of one token in one layer: keys and values of all heads
  std::uint64_t context = 0;            // trained context, in tokens
  double bytes_per_number = 2;          // of the weights, and of the cache unless an option sets its type
};

// Error: invalid_request (malformed, incomplete, or not a generative AI model, which has no cache).
Result<TransformerConfig> parse_transformer_config(std::string_view json);

// For one sequence of the context in `options`, or else the trained context.
Bytes kv_cache_bytes(const TransformerConfig& transformer, const InferenceOptions& options);

}  // namespace mgpu::estimate
