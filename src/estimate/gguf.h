// The head of a GGUF file (versions 2 and 3): what llama.cpp's memory follows from. Bytes in, values out.
//
// Layout: "GGUF", version, number of tensors and of metadata; the metadata, each a name, a type and a value;
// a description of each tensor; padding; then the weights to the end of the file. Everything little-endian.
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
  std::uint64_t context = 0;       // that it was trained for
  std::uint64_t embedding = 0;     // width of a layer
  std::uint64_t feed_forward = 0;  // of the widest layer
  std::uint64_t heads = 0;
  std::vector<std::uint64_t> kv_heads{};  // one for all layers, or one for each
  std::uint64_t key_length = 0;           // of one head
  std::uint64_t value_length = 0;
  std::uint64_t vocabulary = 0;
  std::uint64_t sliding_window = 0;        // 0: every layer attends to everything
  std::uint64_t full_attention_every = 1;  // every n-th layer attends to everything, the others to the window
  std::uint64_t shards = 1;                // files that it is split into, this one included
  Bytes weights{};                         // in this file
  Bytes host_only{};  // of them, the token embeddings, where the output layer has weights of its own
};

// The longest head that is read: the vocabularies of today take some 10 MiB.
inline constexpr std::size_t kMaxGgufHeader = 64U << 20;

// `head`: the file's first bytes. Errors: unavailable (the head goes on behind these bytes), invalid_request
// (no GGUF file, or none that we understand).
Result<GgufHeader> parse_gguf(std::span<const std::byte> head, std::uint64_t file_size);

}  // namespace mgpu::estimate
