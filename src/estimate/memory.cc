#include "estimate/memory.h"

#include <algorithm>

namespace mgpu::estimate {
namespace {

constexpr std::uint64_t kCells = 256;  // caches are made in steps of these
constexpr double kUsualBytes = 2;      // of a number in the cache
constexpr double kMaskBytes = 2;
constexpr auto kMost = static_cast<double>(kLargestBytes.count);  // keeps sums of nonsense in range

std::uint64_t whole_cells(std::uint64_t count) { return (count + kCells - 1) / kCells * kCells; }

std::uint64_t context_of(const Gguf& gguf, const Asked& asked) {
  if (asked.context.value_or(0) == 0) return gguf.context;
  if (!asked.context_is_each_slots) return *asked.context;
  const bool trained = gguf.context > 0;
  return (trained ? std::min(*asked.context, gguf.context) : *asked.context) * asked.slots;
}

Bytes as_bytes(double count) { return {static_cast<std::int64_t>(std::min(count, kMost))}; }

}  // namespace

Memory memory_of(const Gguf& gguf, const Asked& asked) {
  const std::uint64_t context = context_of(gguf, asked);
  const std::uint64_t batch = std::min<std::uint64_t>(asked.batch, std::max<std::uint64_t>(context, 1));
  const std::uint64_t cells = whole_cells(context);
  const std::uint64_t window_cells =
      std::min(cells, whole_cells(gguf.sliding_window * std::max<std::uint64_t>(asked.slots, 1) + batch));

  double cache = 0;
  for (std::uint64_t layer = 0; layer < gguf.layers; ++layer) {
    const bool windowed = gguf.sliding_window > 0 && (layer + 1) % gguf.full_every != 0;
    const std::uint64_t heads = layer < gguf.kv_heads.size() ? gguf.kv_heads[layer]
                                : gguf.kv_heads.empty()      ? 0
                                                             : gguf.kv_heads.back();
    const double a_cell = static_cast<double>(gguf.key_length) * asked.key_bytes.value_or(kUsualBytes) +
                          static_cast<double>(gguf.value_length) * asked.value_bytes.value_or(kUsualBytes);
    cache += static_cast<double>(windowed ? window_cells : cells) * static_cast<double>(heads) * a_cell;
  }

  const double widest =
      4.0 * (2.0 * static_cast<double>(gguf.feed_forward) + 8.0 * static_cast<double>(gguf.embedding));
  const double masks = kMaskBytes * static_cast<double>(cells + (gguf.sliding_window > 0 ? window_cells : 0));
  const double output = 4.0 * static_cast<double>(gguf.vocabulary) * static_cast<double>(asked.slots);

  const double on_device =
      asked.gpu_layers ? std::min(1.0, static_cast<double>(*asked.gpu_layers) /
                                           static_cast<double>(std::max<std::uint64_t>(gguf.layers, 1)))
                       : 1.0;
  return {
      .weights = as_bytes(static_cast<double>((gguf.weights - gguf.host_only).count) * on_device),
      .cache = as_bytes(cache * on_device),
      .compute = on_device > 0 ? as_bytes(static_cast<double>(batch) * (widest + masks) + output) : Bytes{}};
}

}  // namespace mgpu::estimate
