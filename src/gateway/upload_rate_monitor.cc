#include "gateway/upload_rate_monitor.h"

namespace mgpu::gateway {

bool UploadRateMonitor::record_chunk(Duration waited, std::uint64_t bytes) {
  waited_ += waited;
  bytes_ += bytes;
  if (waited_ < kWindow) return true;
  const double needed =
      static_cast<double>(min_per_second_.count) * std::chrono::duration<double>(waited_).count();
  const bool enough = static_cast<double>(bytes_) >= needed;
  waited_ = Duration{0};
  bytes_ = 0;
  return enough;
}

}  // namespace mgpu::gateway
