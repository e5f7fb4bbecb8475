#include "estimate/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <nlohmann/json.hpp>

namespace mgpu::estimate {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthSize = sizeof(std::uint64_t);

std::unexpected<Error> malformed(const char* why) { return fail(ErrorCode::invalid_request, why); }

}  // namespace

Result<Bytes> tensor_bytes(std::span<const std::byte> head, std::uint64_t file_size) {
  if (head.size() < kLengthSize) return malformed("not a safetensors file: too short");
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), kLengthSize);
  if (length < 2 || length > kMaxSafetensorsHeader || length + kLengthSize > file_size)
    return malformed("not a safetensors file");
  if (length + kLengthSize > head.size())
    return fail(ErrorCode::unavailable, "the header is longer than the bytes read");
  const char* const begin = reinterpret_cast<const char*>(head.data()) + kLengthSize;
  const Json tensors = Json::parse(begin, begin + length, nullptr, false);
  if (!tensors.is_object()) return malformed("the header is not a JSON object");

  const std::uint64_t room = file_size - kLengthSize - length;
  std::uint64_t sum = 0;
  for (const auto& [name, tensor] : tensors.items()) {
    if (name == "__metadata__") continue;
    const Json offsets = tensor.is_object() ? tensor.value("data_offsets", Json()) : Json();
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      return malformed("a tensor has no valid data_offsets");
    const auto from = offsets[0].get<std::uint64_t>();
    const auto to = offsets[1].get<std::uint64_t>();
    if (from > to || to > room) return malformed("a tensor is outside the file");
    sum += to - from;
    if (sum > room) return malformed("tensors overlap");
  }
  return Bytes{static_cast<std::int64_t>(std::min(sum, static_cast<std::uint64_t>(kLargestBytes.count)))};
}

Result<std::vector<std::string>> indexed_files(std::string_view json) {
  const Json index = Json::parse(json, nullptr, false);
  const Json tensors = index.is_object() ? index.value("weight_map", Json()) : Json();
  std::set<std::string> files;
  for (const Json& file : tensors) {
    if (!file.is_string()) return malformed("the index has a tensor without a file");
    const auto name = file.get<std::string>();
    if (name.empty() || name.contains('/'))
      return malformed("the index lists a file that is not in its folder");
    files.insert(name);
  }
  if (files.empty()) return malformed("the index lists no files");
  return std::vector<std::string>(files.begin(), files.end());
}

}  // namespace mgpu::estimate
