#include "base/answer_headers.h"

#include <chrono>

#include <fmt/format.h>

namespace mgpu {

std::string server_timing(Duration waited, Duration loading, Duration run) {
  return fmt::format("queue;dur={:.1f}, load;dur={:.1f}, run;dur={:.1f}", to_ms(waited - loading),
                     to_ms(loading), to_ms(run));
}

std::optional<std::string> retry_after(const Error& error) {
  if (error.retry_after <= Duration{0}) return {};
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(error.retry_after).count());
}

}  // namespace mgpu
