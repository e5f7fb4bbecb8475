// Parses the header of a GGUF file (versions 2 and 3), for the values that determine llama.cpp's memory.
// Pure.
//
// Layout: "GGUF", version, number of tensors, number of metadata entries; the entries, each a name, a type
// and a value; a description of each tensor; padding; the weights to the end of the file. All numbers
// little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::estimate {

struct GgufHeader {
  std::string architecture{};  // "llama", "gemma3", "qwen3moe"
  std::uint64_t layers = 0;
  std::uint64_t context = 0;       // trained context, in tokens
  std::uint64_t embedding = 0;     // width of a layer
  std::uint64_t feed_forward = 0;  // of the widest layer
  std::uint64_t heads = 0;
  std::vector<std::uint64_t> kv_heads{};  // one for all layers, or one for each
  std::uint64_t key_length = 0;           // of one head
  std::uint64_t value_length = 0;
  std::uint64_t vocabulary = 0;
  std::uint64_t sliding_window = 0;        // tokens; 0: all layers have full attention
  std::uint64_t full_attention_every = 1;  // every n-th layer has full attention, the others the window
  std::uint64_t shards = 1;                // number of files of the AI model, including this one
  Bytes weights{};                         // in this file
  Bytes host_only{};  // part of weights: token embeddings, if the output layer has its own weights
};

// The longest header that is read; current vocabularies take about 10 MiB.
inline constexpr std::size_t kMaxGgufHeader = 64U << 20;

// `head`: the first bytes of the file. Errors: unavailable (the header is longer than `head`),
// invalid_request (not a GGUF file, or malformed).
Result<GgufHeader> parse_gguf(std::span<const std::byte> head, std::uint64_t file_size);

}  // namespace mgpu::estimate
