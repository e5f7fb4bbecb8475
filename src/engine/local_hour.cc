#include "engine/local_hour.h"

#include <algorithm>
#include <ctime>

namespace mgpu::engine {

LocalHour local_hour(std::chrono::system_clock::time_point now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  localtime_r(&seconds, &local);
  const int seconds_into_hour = local.tm_min * 60 + std::min(local.tm_sec, 59);  // 60: a leap second
  return {.hour = static_cast<std::uint8_t>(local.tm_hour),
          .until_next = std::chrono::seconds(3600 - seconds_into_hour)};
}

}  // namespace mgpu::engine
