// Whether a client sends its body fast enough while its request holds the turn and others wait. Only the time
// spent waiting for the client counts: a service may read the body slowly.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"

namespace mgpu::gateway {

class UploadRateMonitor {
 public:
  static constexpr Duration kWindow{5'000'000};  // over which the rate is measured

  explicit UploadRateMonitor(Bytes min_per_second) : min_per_second_(min_per_second) {}

  // The time to wait for the next piece before the window ends.
  Duration time_left() const { return kWindow - waited_; }

  // Records a piece of `bytes` bytes that arrived after `waited`. False: the client is too slow.
  bool record_chunk(Duration waited, std::uint64_t bytes);

 private:
  Bytes min_per_second_;
  Duration waited_{0};       // in the current window
  std::uint64_t bytes_ = 0;  // received in the current window
};

}  // namespace mgpu::gateway
