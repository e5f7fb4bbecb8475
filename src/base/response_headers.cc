#include "base/response_headers.h"

#include <chrono>
#include <cstdint>

namespace mgpu {
namespace {

// Milliseconds, one decimal place.
std::string format_ms(Duration duration) {
  using Tenth = std::chrono::duration<std::int64_t, std::ratio<1, 10'000>>;
  const std::int64_t tenths = std::chrono::round<Tenth>(duration).count();
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10);
}

}  // namespace

std::string server_timing_header(Duration waited, Duration loading, Duration run) {
  return "queue;dur=" + format_ms(waited - loading) + ", load;dur=" + format_ms(loading) +
         ", run;dur=" + format_ms(run);
}

std::optional<std::string> retry_after_header(const Error& error) {
  if (error.retry_after <= Duration{0}) return {};
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(error.retry_after).count());
}

}  // namespace mgpu
