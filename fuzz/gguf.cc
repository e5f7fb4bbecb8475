// Files of weights come from strangers: whatever their heads claim, reading them ends, stays small, and gives
// sums that make sense. The same bytes are tried as each of the formats.
#include "estimate/gguf.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "estimate/memory.h"
#include "estimate/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mgpu;
  const auto head = std::as_bytes(std::span(data, size));
  const std::uint64_t file_size = size + 1000;
  if (const auto gguf = estimate::parse_gguf(head, file_size)) {
    const estimate::Memory memory = estimate::memory_of(*gguf, {.slots = 4});
    if (memory.weights < Bytes{} || memory.cache < Bytes{} || memory.compute < Bytes{}) std::abort();
    if (memory.weights.count > static_cast<std::int64_t>(file_size)) std::abort();
  }
  if (const auto bytes = estimate::tensor_bytes(head, file_size))
    if (*bytes < Bytes{} || bytes->count > static_cast<std::int64_t>(file_size)) std::abort();
  (void)estimate::indexed_bytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
