// Converts between the core's Instants and the steady and wall clocks.
//
// Thread rule: any; immutable after construction.
#pragma once

#include <chrono>

#include "base/time.h"

namespace mgpu::engine {

// An Instant is the microseconds since construction plus one second: 0 is reserved for "never".
class Clock {
 public:
  Instant now() const;
  std::chrono::steady_clock::time_point steady_time(Instant at) const;
  std::chrono::system_clock::time_point wall_time(Instant at) const;

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  std::chrono::system_clock::time_point wall_start_ =
      std::chrono::system_clock::now() - std::chrono::seconds(1);
};

}  // namespace mgpu::engine
