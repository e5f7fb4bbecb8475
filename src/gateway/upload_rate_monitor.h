// Whether a client sends its body fast enough while its request has the turn and all others wait. Only time
// that is spent waiting for the client counts: a service may take the body slowly.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"

namespace mgpu::gateway {

class UploadRateMonitor {
 public:
  static constexpr Duration kWindow{5'000'000};  // over which the rate is measured

  explicit UploadRateMonitor(Bytes min_per_second) : min_per_second_(min_per_second) {}

  // How long to wait for the next piece before the window ends.
  Duration time_left() const { return kWindow - waited_; }

  // A piece of `bytes` bytes came after waiting for it so long. False: the client has been too slow.
  bool record_chunk(Duration waited, std::uint64_t bytes);

 private:
  Bytes min_per_second_;
  Duration waited_{0};       // in the current window
  std::uint64_t bytes_ = 0;  // that came in it
};

}  // namespace mgpu::gateway
