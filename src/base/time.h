// Time as the core knows it: an Instant is microseconds on the daemon's steady clock, always handed in with
// an event. What a person wrote ("30s") and what a person reads ("1.2 s", RFC 3339) is converted here too.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mgpu {

using Duration = std::chrono::microseconds;

struct Instant {
  std::int64_t us = 0;

  friend constexpr auto operator<=>(Instant, Instant) = default;
  // Never past kNever: a sum that is out of range is the end of time, and not its beginning.
  friend constexpr Instant operator+(Instant at, Duration by) {
    Instant sum;
    if (__builtin_add_overflow(at.us, by.count(), &sum.us)) sum.us = by.count() > 0 ? INT64_MAX : INT64_MIN;
    return sum;
  }
  friend constexpr Duration operator-(Instant later, Instant earlier) {
    return Duration{later.us - earlier.us};
  }
};

inline constexpr Instant kNever{INT64_MAX};

constexpr double to_ms(Duration d) { return static_cast<double>(d.count()) / 1000.0; }

// The longest time that anybody may ask for, at every edge: headers, keys, options, JSON, traces. A sum or a
// product of thousands of them still fits an Instant, and the nanoseconds of the system's clocks.
inline constexpr Duration kLongestDuration = std::chrono::hours{24 * 366};

// Likewise within range.
constexpr Duration saturating_product(Duration duration, std::int64_t count) {
  std::int64_t all = 0;
  const bool too_long = __builtin_mul_overflow(duration.count(), count, &all);
  return too_long ? Duration::max() : Duration{all};
}

// "250ms", "30s", "15m", "2h", "1h30m", "0"; kLongestDuration at most, never negative. A bare number other
// than 0 is refused. Error: invalid_request.
Result<Duration> parse_duration(std::string_view text);

// A number of milliseconds of a foreign text (JSON), 0 to kLongestDuration; none outside of that, or for NaN.
std::optional<Duration> duration_from_ms(double ms);

// Exact and parseable, units from large to small: "1h30m", "1s500ms", "0s".
std::string to_string(Duration duration);

// For people: whole seconds from ten on, tenths below, whole milliseconds below one: "12s", "1s300ms",
// "250ms".
std::string to_rounded_string(Duration duration);

// "2026-11-24T13:10:00.123Z", UTC with milliseconds.
std::string to_rfc3339(std::chrono::system_clock::time_point at);

}  // namespace mgpu
