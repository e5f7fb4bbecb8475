// The head of a safetensors file: its length in 8 bytes, then a JSON object that says where each tensor lies.
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

// All tensors of the file together. Errors: unavailable (the head goes on behind these bytes),
// invalid_request.
Result<Bytes> tensor_bytes(std::span<const std::byte> head, std::uint64_t file_size);

// The files that a model.safetensors.index.json lists, ascending. Error: invalid_request.
Result<std::vector<std::string>> indexed_files(std::string_view json);

}  // namespace mgpu::estimate
