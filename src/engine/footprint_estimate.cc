#include "engine/footprint_estimate.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include <fmt/format.h>

#include "engine/weights.h"

#include "estimate/gguf.h"
#include "estimate/memory_estimate.h"
#include "estimate/safetensors.h"
#include "estimate/transformer_config.h"

namespace mgpu::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kInitialHeadBytes = 1U << 20;
constexpr std::size_t kBlobDigitsShown = 12;  // of a blob's name

// Parses the head of a file, reading more of it until the parser has enough. `most`: maximum size of a head.
template <class T>
Result<T> parse_file_head(const fs::path& file, std::size_t max_head,
                          Result<T> (*parse)(std::span<const std::byte>, std::uint64_t)) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  if (error) return fail(ErrorCode::not_found, error.message());
  for (std::size_t wanted = kInitialHeadBytes;; wanted *= 8) {
    const std::string head =
        read_file_head(file, std::min({wanted, max_head, static_cast<std::size_t>(size)}));
    Result<T> result = parse(std::as_bytes(std::span(head)), size);
    const bool more =
        !result && result.error().code == ErrorCode::unavailable && wanted < max_head && head.size() < size;
    if (!more) return result;
  }
}

// For safetensors files, computed from the config.json beside them; 0 without a usable one.
Bytes kv_cache_bytes(const Weights& weights) {
  const fs::path config = fs::path(weights.files.front()).parent_path() / "config.json";
  const auto transformer =
      estimate::parse_transformer_config(read_file_head(config, estimate::kMaxTransformerConfig));
  return transformer ? estimate::kv_cache_bytes(*transformer, weights.inference_options) : Bytes{};
}

Bytes file_bytes(const fs::path& file) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  return error ? Bytes{}
               : Bytes{static_cast<std::int64_t>(std::min<std::uint64_t>(size, kLargestBytes.count))};
}

bool is_gguf(const fs::path& file) { return read_file_head(file, 4) == "GGUF"; }

// "x.gguf and 2 more files"; a blob is shortened to its first digits.
std::string describe_files(const std::vector<std::string>& files) {
  constexpr std::string_view kBlobPrefix = "sha256-";
  std::string text = fs::path(files.front()).filename();
  if (text.starts_with(kBlobPrefix))
    text.resize(std::min(text.size(), kBlobPrefix.size() + kBlobDigitsShown));
  if (files.size() > 1)
    text += fmt::format(" and {} more file{}", files.size() - 1, files.size() > 2 ? "s" : "");
  return text;
}

}  // namespace

std::optional<FootprintEstimate> estimate_footprint(const config::ConsumerConfig& consumer,
                                                    const std::string& ai_model, Bytes device_memory) {
  const Weights weights = find_weights(consumer, ai_model, device_memory);
  std::optional<estimate::GgufHeader> gguf;  // of the first file; weights of further shards are added
  Bytes extra_bytes{};                       // of files loaded in full besides the weights: vision projectors
  Bytes tensors{};
  for (const std::string& file : weights.files) {
    if (file.ends_with(".safetensors")) {
      tensors += parse_file_head(file, estimate::kMaxSafetensorsHeader + 8, estimate::tensor_bytes)
                     .value_or(Bytes{});
      continue;
    }
    const auto read = parse_file_head(file, estimate::kMaxGgufHeader, estimate::parse_gguf);
    if (!read)
      extra_bytes += is_gguf(file) ? file_bytes(file) : Bytes{};
    else if (gguf)
      gguf->weights += read->weights;
    else
      gguf = *read;
  }
  if (tensors > Bytes{}) tensors += kv_cache_bytes(weights);
  if (gguf) tensors += estimate::estimate_memory(*gguf, weights.inference_options).sum() + extra_bytes;
  if (tensors == Bytes{} || tensors > kLargestBytes) return std::nullopt;
  return FootprintEstimate{.bytes = tensors + estimate::kCudaContext,
                           .source_file = describe_files(weights.files)};
}

Bytes estimate_from_size(Bytes file_bytes) {
  if (file_bytes <= Bytes{}) return {};
  return std::min(file_bytes + Bytes{file_bytes.count / 8} + estimate::kCudaContext, kLargestBytes);
}

std::optional<FootprintEstimate> estimate_footprint_within(TimedCalls& calls, Duration limit,
                                                           const config::ConsumerConfig& consumer,
                                                           const std::string& ai_model, Bytes device_memory) {
  const std::function<std::optional<FootprintEstimate>()> work = [consumer, ai_model, device_memory] {
    return estimate_footprint(consumer, ai_model, device_memory);
  };
  return calls.call("weights of " + consumer.name, limit, work).value_or(std::nullopt);
}

}  // namespace mgpu::engine
