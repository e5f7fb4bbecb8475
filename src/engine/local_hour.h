// Local hours of the wall clock; habits are learned per hour.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace mgpu::engine {

struct LocalHour {
  std::uint8_t hour = 0;  // 0..23, local time
  Duration until_next{};  // always positive
};

LocalHour local_hour(std::chrono::system_clock::time_point now);

}  // namespace mgpu::engine
