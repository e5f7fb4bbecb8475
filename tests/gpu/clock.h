// CLOCK_MONOTONIC, which all processes of a machine share: times of a child can be compared with the
// parent's.
#pragma once

#include <ctime>

namespace mgpu::gpu_check {

inline double now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

}  // namespace mgpu::gpu_check
