// libFuzzer: find_route accepts any target, and the target for a service is always a path.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "gateway/route.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view target(reinterpret_cast<const char*>(data), size);
  auto route = mgpu::gateway::find_route("POST", target);
  if (route) MGPU_ASSERT(route->target.starts_with('/'), "a service is asked for a path");
  return 0;
}
