#include "engine/clock.h"

namespace mgpu::engine {

Instant Clock::now() const {
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start_).count()};
}

std::chrono::steady_clock::time_point Clock::steady_time(Instant at) const {
  using SteadyTime = std::chrono::steady_clock::time_point;
  const auto last = std::chrono::floor<Duration>(SteadyTime::max() - start_);
  if (at.us >= last.count()) return SteadyTime::max();  // its range ends before that of Instant
  // Rounded up: a timer that fires before the deadline would find nothing due.
  return start_ + Duration{at.us + 1};
}

std::chrono::system_clock::time_point Clock::wall_time(Instant at) const {
  using WallTime = std::chrono::system_clock::time_point;
  const auto last = std::chrono::floor<Duration>(WallTime::max() - wall_start_);
  return at.us >= last.count() ? WallTime::max() : wall_start_ + Duration{at.us};
}

}  // namespace mgpu::engine
