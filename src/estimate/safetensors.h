// Parses the header of a safetensors file: its length in 8 bytes, then a JSON object with the offsets of each
// tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::estimate {

inline constexpr std::size_t kMaxSafetensorsHeader = 8U << 20;
inline constexpr std::size_t kMaxSafetensorsIndex = 16U << 20;

// The bytes of all tensors in the file. `head`: its first bytes. Errors: unavailable (the header is longer
// than `head`), invalid_request (not a safetensors file, or malformed).
Result<Bytes> tensor_bytes(std::span<const std::byte> head, std::uint64_t file_size);

// The files listed in a model.safetensors.index.json, sorted. Error: invalid_request.
Result<std::vector<std::string>> indexed_files(std::string_view json);

}  // namespace mgpu::estimate
