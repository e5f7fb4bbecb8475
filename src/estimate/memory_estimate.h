// How much device memory llama.cpp will take for a GGUF file, before it was ever loaded.
//
// Weights: those of the layers on the device; token embeddings stay in host memory unless the output layer
// shares them. Cache: keys and values of every head for each cell; windowed layers have cells for their
// window and one batch only (llama_kv_cache_iswa). Compute: what one batch needs at its widest place, and its
// attention masks of 2 bytes a cell. The factors of the compute part were fitted to what llama.cpp says it
// takes (build of November 2026, flash attention on); tests/e2e/test_estimate.py holds the whole to 15 %.
#pragma once

#include "base/bytes.h"

#include "estimate/gguf.h"
#include "estimate/inference_options.h"

namespace mgpu::estimate {

// What a CUDA process holds before it does anything: 150 to 650 MiB, by driver and device.
inline constexpr Bytes kCudaContext = kMiB * 300;

struct MemoryEstimate {
  Bytes weights{};
  Bytes cache{};
  Bytes compute{};
  Bytes sum() const { return weights + cache + compute; }
};

MemoryEstimate estimate_memory(const GgufHeader& gguf, const InferenceOptions& options);

}  // namespace mgpu::estimate
