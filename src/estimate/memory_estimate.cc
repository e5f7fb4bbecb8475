#include "estimate/memory_estimate.h"

#include <algorithm>

namespace mgpu::estimate {
namespace {

constexpr std::uint64_t kCellStep = 256;  // the number of cells is a multiple of this
constexpr double kDefaultCacheBytes = 2;  // of one number in the cache
constexpr double kMaskBytes = 2;
// Keeps sums of implausible values in range
constexpr auto kMaxBytes = static_cast<double>(kLargestBytes.count);

std::uint64_t round_up_cells(std::uint64_t count) { return (count + kCellStep - 1) / kCellStep * kCellStep; }

std::uint64_t context_tokens(const GgufHeader& gguf, const InferenceOptions& options) {
  if (options.context.value_or(0) == 0) return gguf.context;
  if (!options.context_per_slot) return *options.context;
  const bool known = gguf.context > 0;
  return (known ? std::min(*options.context, gguf.context) : *options.context) * options.slots;
}

Bytes clamp_to_bytes(double count) { return {static_cast<std::int64_t>(std::min(count, kMaxBytes))}; }

}  // namespace

MemoryEstimate estimate_memory(const GgufHeader& gguf, const InferenceOptions& options) {
  const std::uint64_t context = context_tokens(gguf, options);
  const std::uint64_t batch = std::min<std::uint64_t>(options.batch, std::max<std::uint64_t>(context, 1));
  const std::uint64_t cells = round_up_cells(context);
  const std::uint64_t window_cells = std::min(
      cells, round_up_cells(gguf.sliding_window * std::max<std::uint64_t>(options.slots, 1) + batch));

  double cache = 0;
  for (std::uint64_t layer = 0; layer < gguf.layers; ++layer) {
    const bool windowed = gguf.sliding_window > 0 && (layer + 1) % gguf.full_attention_every != 0;
    const std::uint64_t heads = layer < gguf.kv_heads.size() ? gguf.kv_heads[layer]
                                : gguf.kv_heads.empty()      ? 0
                                                             : gguf.kv_heads.back();
    const double bytes_per_cell =
        static_cast<double>(gguf.key_length) * options.key_bytes.value_or(kDefaultCacheBytes) +
        static_cast<double>(gguf.value_length) * options.value_bytes.value_or(kDefaultCacheBytes);
    cache +=
        static_cast<double>(windowed ? window_cells : cells) * static_cast<double>(heads) * bytes_per_cell;
  }

  const double widest =
      4.0 * (2.0 * static_cast<double>(gguf.feed_forward) + 8.0 * static_cast<double>(gguf.embedding));
  const double masks = kMaskBytes * static_cast<double>(cells + (gguf.sliding_window > 0 ? window_cells : 0));
  const double output = 4.0 * static_cast<double>(gguf.vocabulary) * static_cast<double>(options.slots);

  const double on_device =
      options.gpu_layers ? std::min(1.0, static_cast<double>(*options.gpu_layers) /
                                             static_cast<double>(std::max<std::uint64_t>(gguf.layers, 1)))
                         : 1.0;
  return {.weights = clamp_to_bytes(static_cast<double>((gguf.weights - gguf.host_only).count) * on_device),
          .cache = clamp_to_bytes(cache * on_device),
          .compute = on_device > 0 ? clamp_to_bytes(static_cast<double>(batch) * (widest + masks) + output)
                                   : Bytes{}};
}

}  // namespace mgpu::estimate
