// Estimates the device memory that llama.cpp needs for a GGUF file that was never loaded.
//
// Weights: the layers on the device. Token embeddings stay in host memory unless the output layer shares
// them. Cache: keys and values of every head for each cell; windowed layers have cells only for their window
// and one batch (llama_kv_cache_iswa). Compute: the widest activations of one batch, and its attention masks
// with 2 bytes per cell. The factors of the compute part were fitted to the buffer sizes that llama.cpp
// reports (build of November 2026, flash attention on). tests/e2e/test_estimate.py checks that the sum is
// within 15 %.
#pragma once

#include "base/bytes.h"

#include "estimate/gguf.h"
#include "estimate/inference_options.h"

namespace mgpu::estimate {

// Typical size of a CUDA context: 150 to 650 MiB, depending on driver and device.
inline constexpr Bytes kCudaContext = kMiB * 300;

struct MemoryEstimate {
  Bytes weights{};
  Bytes cache{};
  Bytes compute{};
  Bytes sum() const { return weights + cache + compute; }
};

MemoryEstimate estimate_memory(const GgufHeader& gguf, const InferenceOptions& options);

}  // namespace mgpu::estimate
