// libFuzzer: a body in one piece and byte by byte gives the same result, and value_range() is within the
// body.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "gateway/model_finder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  mgpu::gateway::ModelFinder whole(true), bytes(true);
  whole.feed(body);
  auto answer = whole.finish();
  for (char c : body) bytes.feed({&c, 1});
  MGPU_ASSERT(bytes.finish() == answer, "the cut of the chunks does not matter");
  MGPU_ASSERT(whole.name() == bytes.name() && whole.reason() == bytes.reason(), "nor for what was found");
  if (answer == mgpu::gateway::ScanStatus::found) {
    MGPU_ASSERT(!whole.name().empty() && whole.name().size() <= mgpu::gateway::kMaxModelName,
                "names are bounded");
    MGPU_ASSERT(whole.value_range().begin < whole.value_range().end && whole.value_range().end <= size,
                "the value is in the body");
  }
  return 0;
}
