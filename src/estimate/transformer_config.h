// What a checkpoint says of itself in its config.json, as Hugging Face's transformers write it beside the
// safetensors files: how large its cache is. Text in, values out.
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
  std::uint64_t window = 0;             // tokens that the latter keep
  std::uint64_t numbers_per_token = 0;  // of one token in one layer: keys and values of all heads
  std::uint64_t context = 0;            // that it was trained for
  double bytes_per_number = 2;          // of its weights, and of its cache unless another type is asked for
};

// Error: invalid_request (no such text; it does not say enough; or it generates nothing and so keeps
// nothing).
Result<TransformerConfig> parse_transformer_config(std::string_view json);

// For one sequence of the context that is asked for.
Bytes kv_cache_bytes(const TransformerConfig& transformer, const InferenceOptions& options);

}  // namespace mgpu::estimate
