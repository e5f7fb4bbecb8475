// The daemon's clock: the core's Instants, and what they are on the steady and on the wall clock.
//
// Thread rule: any; it never changes once made.
#pragma once

#include <chrono>

#include "base/time.h"

namespace mgpu::engine {

// An Instant is the microseconds since the clock was made, plus one second: 0 stays free for "never".
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
