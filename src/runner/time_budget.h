// A time limit that several steps share.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace mgpu::runner {

class TimeBudget {
 public:
  explicit TimeBudget(Duration limit) : end_(std::chrono::steady_clock::now() + limit) {}
  // The remaining time, at least 1 ms: every step is tried, and fails by its own limit.
  Duration operator()() const {
    const auto left = std::chrono::duration_cast<Duration>(end_ - std::chrono::steady_clock::now());
    return std::max(left, Duration{1'000});
  }

 private:
  std::chrono::steady_clock::time_point end_;
};

}  // namespace mgpu::runner
