#include "estimate/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

namespace mgpu::estimate {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are copied without byte swapping");

// Limits for values in the file, so that a malformed file costs neither much time nor much memory.
constexpr std::uint64_t kMaxEntries = 100'000;
constexpr std::uint64_t kMaxTensors = 1'000'000;
constexpr std::uint64_t kMaxName = 64 * 1024;
constexpr std::uint64_t kMaxLayers = 10'000;
constexpr std::uint64_t kMaxDimensions = 8;
constexpr std::uint64_t kMaxValue = 1ULL << 32;  // greatest plausible width, length or count
constexpr std::uint64_t kMaxAlignment = 1ULL << 20;

enum GgufType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64,
  kTypes
};
constexpr std::array<std::uint8_t, kTypes> kTypeSizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

// Reads values in sequence. After the first error it stays failed and returns zeros.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T value() {
    T read{};
    if (const auto piece = read_bytes(sizeof(T)); piece.size() == sizeof(T))
      std::memcpy(&read, piece.data(), sizeof(T));
    return read;
  }
  std::string_view read_string(std::uint64_t most) {
    const auto size = value<std::uint64_t>();
    if (size > most) invalid_ = true;
    const auto piece = read_bytes(invalid_ ? 0 : size);
    return {reinterpret_cast<const char*>(piece.data()), piece.size()};
  }
  std::span<const std::byte> read_bytes(std::uint64_t size) {
    if (invalid_ || truncated_) return {};
    if (size > bytes_.size() - offset_) {
      truncated_ = true;
      return {};
    }
    const auto piece = bytes_.subspan(offset_, size);
    offset_ += size;
    return piece;
  }
  void mark_invalid() { invalid_ = true; }
  bool good() const { return !invalid_ && !truncated_; }
  bool is_invalid() const { return invalid_; }
  std::uint64_t position() const { return offset_; }

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t offset_ = 0;
  bool truncated_ = false;
  bool invalid_ = false;
};

// Reads an integer of any width, negative ones as 0. Skips a value of another type and returns nullopt.
std::optional<std::uint64_t> read_integer(ByteReader& in, std::uint32_t type) {
  switch (type) {
    case u8:
      return in.value<std::uint8_t>();
    case u16:
      return in.value<std::uint16_t>();
    case u32:
      return in.value<std::uint32_t>();
    case u64:
      return in.value<std::uint64_t>();
    case i8:
      return static_cast<std::uint64_t>(std::max<std::int8_t>(in.value<std::int8_t>(), 0));
    case i16:
      return static_cast<std::uint64_t>(std::max<std::int16_t>(in.value<std::int16_t>(), 0));
    case i32:
      return static_cast<std::uint64_t>(std::max<std::int32_t>(in.value<std::int32_t>(), 0));
    case i64:
      return static_cast<std::uint64_t>(std::max<std::int64_t>(in.value<std::int64_t>(), 0));
    default:
      in.read_bytes(type < kTypes ? kTypeSizes[type] : 0);
      return std::nullopt;
  }
}

struct GgufArray {
  std::vector<std::uint64_t> integers{};  // empty for other types and for more than kMaxLayers elements
  std::uint64_t count = 0;
};

GgufArray read_array(ByteReader& in) {
  GgufArray read;
  const auto type = in.value<std::uint32_t>();
  read.count = in.value<std::uint64_t>();
  if (type >= kTypes || type == array) return in.mark_invalid(), read;
  if (type == string) {
    for (std::uint64_t i = 0; i < read.count && in.good(); ++i) in.read_string(kMaxGgufHeader);
    return read;
  }
  if (read.count > kMaxGgufHeader / kTypeSizes[type]) return in.mark_invalid(), read;
  if (read.count > kMaxLayers) return in.read_bytes(read.count * kTypeSizes[type]), read;
  for (std::uint64_t i = 0; i < read.count && in.good(); ++i)
    if (const auto integer = read_integer(in, type)) read.integers.push_back(*integer);
  return read;
}

struct Metadata {
  std::string architecture{};
  // Without the architecture's prefix
  std::map<std::string, std::vector<std::uint64_t>, std::less<>> numbers{};
  std::uint64_t tokens = 0;

  std::uint64_t number(std::string_view name, std::uint64_t fallback = 0) const {
    const auto found = numbers.find(name);
    return found == numbers.end() || found->second.empty() ? fallback : found->second.front();
  }
  std::vector<std::uint64_t> list(std::string_view name) const {
    const auto found = numbers.find(name);
    return found == numbers.end() ? std::vector<std::uint64_t>{} : found->second;
  }
};

// "llama.block_count" -> "block_count". Prefixes that are not an architecture stay.
std::string_view strip_architecture_prefix(std::string_view name) {
  for (const std::string_view common : {"general.", "tokenizer.", "split."})
    if (name.starts_with(common)) return name;
  const auto dot = name.find('.');
  return dot == name.npos ? name : name.substr(dot + 1);
}

Metadata read_metadata(ByteReader& in, std::uint64_t entries) {
  Metadata read;
  for (std::uint64_t i = 0; i < entries && in.good(); ++i) {
    const std::string_view name = in.read_string(kMaxName);
    const auto type = in.value<std::uint32_t>();
    if (type == string) {
      const std::string_view text = in.read_string(kMaxGgufHeader);
      if (name == "general.architecture") read.architecture = text;
    } else if (type == array) {
      GgufArray list = read_array(in);
      if (name == "tokenizer.ggml.tokens") read.tokens = list.count;
      if (!list.integers.empty())
        read.numbers.emplace(strip_architecture_prefix(name), std::move(list.integers));
    } else if (type >= kTypes) {
      in.mark_invalid();
    } else if (const auto integer = read_integer(in, type)) {
      read.numbers.emplace(strip_architecture_prefix(name), std::vector{*integer});
    }
  }
  return read;
}

struct TensorTable {
  std::vector<std::uint64_t> offsets{};  // ascending
  std::optional<std::uint64_t> token_embedding{};
  bool has_output = false;
};

TensorTable read_tensors(ByteReader& in, std::uint64_t count) {
  TensorTable read;
  for (std::uint64_t i = 0; i < count && in.good(); ++i) {
    const std::string_view name = in.read_string(kMaxName);
    const auto dimensions = in.value<std::uint32_t>();
    if (dimensions > kMaxDimensions) in.mark_invalid();
    in.read_bytes(in.good() ? dimensions * sizeof(std::uint64_t) : 0);
    in.value<std::uint32_t>();  // element type, not needed: the size follows from the next tensor's offset
    const auto offset = in.value<std::uint64_t>();
    if (name == "token_embd.weight") read.token_embedding = offset;
    if (name == "output.weight") read.has_output = true;
    if (in.good()) read.offsets.push_back(offset);
  }
  std::ranges::sort(read.offsets);
  return read;
}

// For architectures whose files do not contain the interval of full-attention layers.
std::uint64_t default_full_attention_every(const std::string& architecture) {
  constexpr std::pair<std::string_view, std::uint64_t> kKnown[] = {
      {"gemma2", 2}, {"gemma3", 6}, {"gemma3n", 5}, {"gpt-oss", 2}, {"cohere2", 4}, {"exaone4", 4}};
  for (const auto& [name, interval] : kKnown)
    if (architecture == name) return interval;
  return 1;
}

Bytes clamp_to_bytes(std::uint64_t count) {
  return {static_cast<std::int64_t>(std::min(count, static_cast<std::uint64_t>(kLargestBytes.count)))};
}

Bytes host_only_weights(const TensorTable& tensors, std::uint64_t weights) {
  if (!tensors.token_embedding || !tensors.has_output) return {};
  const auto next = std::ranges::upper_bound(tensors.offsets, *tensors.token_embedding);
  const std::uint64_t end = next == tensors.offsets.end() ? weights : std::min(*next, weights);
  return clamp_to_bytes(end > *tensors.token_embedding ? end - *tensors.token_embedding : 0);
}

GgufHeader to_gguf_header(const Metadata& metadata) {
  GgufHeader gguf{.architecture = metadata.architecture,
                  .layers = metadata.number("block_count"),
                  .context = metadata.number("context_length"),
                  .embedding = metadata.number("embedding_length"),
                  .heads = metadata.number("attention.head_count"),
                  .kv_heads = metadata.list("attention.head_count_kv"),
                  .key_length = metadata.number("attention.key_length"),
                  .value_length = metadata.number("attention.value_length"),
                  .vocabulary = metadata.number("vocab_size", metadata.tokens),
                  .sliding_window = metadata.number("attention.sliding_window"),
                  .shards = std::max<std::uint64_t>(metadata.number("split.count", 1), 1)};
  for (const std::uint64_t width : metadata.list("feed_forward_length"))
    gguf.feed_forward = std::max(gguf.feed_forward, width);
  if (gguf.kv_heads.empty()) gguf.kv_heads = {gguf.heads};
  const std::uint64_t head = gguf.heads > 0 ? gguf.embedding / gguf.heads : 0;
  if (gguf.key_length == 0) gguf.key_length = head;
  if (gguf.value_length == 0) gguf.value_length = head;
  gguf.full_attention_every = std::max<std::uint64_t>(
      metadata.number("attention.sliding_window_pattern", default_full_attention_every(gguf.architecture)),
      1);
  if (gguf.full_attention_every == 1) gguf.sliding_window = 0;
  return gguf;
}

bool is_plausible(const GgufHeader& gguf) {
  const auto small = [](std::uint64_t value) { return value < kMaxValue; };
  return !gguf.architecture.empty() && gguf.layers > 0 && gguf.layers <= kMaxLayers && small(gguf.context) &&
         small(gguf.embedding) && small(gguf.feed_forward) && small(gguf.key_length) &&
         small(gguf.value_length) && small(gguf.vocabulary) && small(gguf.sliding_window) &&
         gguf.shards <= kMaxLayers &&
         std::ranges::all_of(gguf.kv_heads, [](std::uint64_t heads) { return heads < kMaxLayers; });
}

}  // namespace

Result<GgufHeader> parse_gguf(std::span<const std::byte> head, std::uint64_t file_size) {
  const auto malformed = [](const char* why) { return fail(ErrorCode::invalid_request, why); };
  ByteReader in(head);
  if (in.value<std::uint32_t>() != 0x46554747) return malformed("not a GGUF file");
  const auto version = in.value<std::uint32_t>();
  if (in.good() && (version < 2 || version > 3))
    return malformed("unsupported GGUF version (2 and 3 are supported)");
  const auto tensor_count = in.value<std::uint64_t>();
  const auto entries = in.value<std::uint64_t>();
  if (tensor_count > kMaxTensors || entries > kMaxEntries) in.mark_invalid();
  const Metadata metadata = read_metadata(in, entries);
  const TensorTable tensors = read_tensors(in, tensor_count);
  if (in.is_invalid()) return malformed("malformed GGUF metadata");
  if (!in.good()) return fail(ErrorCode::unavailable, "the header is longer than the bytes read");

  GgufHeader gguf = to_gguf_header(metadata);
  // Shards after the first lack most metadata.
  const bool later_shard = metadata.number("split.no") > 0;
  if (!later_shard && !is_plausible(gguf)) return malformed("implausible values in the GGUF metadata");
  const std::uint64_t alignment = metadata.number("general.alignment", 32);
  if (alignment == 0 || alignment > kMaxAlignment)
    return malformed("implausible alignment in the GGUF metadata");
  const std::uint64_t begin = (in.position() + alignment - 1) / alignment * alignment;
  if (begin > file_size) return malformed("the file ends before its weights");
  gguf.weights = clamp_to_bytes(file_size - begin);
  gguf.host_only = host_only_weights(tensors, file_size - begin);
  return gguf;
}

}  // namespace mgpu::estimate
