// Whether a client sends its body fast enough while its request has the turn and all others wait. Only time
// that is spent waiting for the client counts: a service that takes its body slowly is no fault of the
// client.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"

namespace mgpu::gateway {

class UploadRateMonitor {
 public:
  static constexpr Duration kWindow{5'000'000};  // over which the rate is looked at

  explicit UploadRateMonitor(Bytes min_per_second) : min_per_second_(min_per_second) {}

  // How long to wait for the next piece before it is too late, whatever comes then.
  Duration time_left() const { return kWindow - waited_; }

  // A piece of `bytes` came after waiting for it so long. False: the client has been too slow.
  bool record_chunk(Duration waited, std::uint64_t bytes);

 private:
  Bytes min_per_second_;
  Duration waited_{0};       // in the window that is under way
  std::uint64_t bytes_ = 0;  // that came in it
};

}  // namespace mgpu::gateway
