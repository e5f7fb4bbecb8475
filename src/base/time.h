// Time in the core: an Instant is microseconds on the daemon's steady clock; the core gets it from events,
// never from a clock. Parsing ("30s") and formatting ("1s200ms", RFC 3339) are here too.
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
  // Saturates at kNever: an overflow must not turn a late time into an early one.
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

constexpr double to_ms(Duration duration) { return static_cast<double>(duration.count()) / 1e3; }
constexpr double to_seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

// The longest duration that is accepted from outside: headers, configuration keys, options, JSON, traces.
// Thousands of them still fit an Instant, and the nanosecond counts of std::chrono's clocks.
inline constexpr Duration kLongestDuration = std::chrono::hours{24 * 366};

// duration * count; Duration::max() on overflow. REQUIRES: neither is negative.
constexpr Duration saturating_product(Duration duration, std::int64_t count) {
  std::int64_t product = 0;
  const bool overflows = __builtin_mul_overflow(duration.count(), count, &product);
  return overflows ? Duration::max() : Duration{product};
}

// "250ms", "30s", "15m", "2h", "1h30m", "0"; at most kLongestDuration, never negative. A number without a
// unit is rejected, except 0. Error: invalid_request.
Result<Duration> parse_duration(std::string_view text);

// Converts milliseconds from an external source (JSON). None unless within 0..kLongestDuration.
std::optional<Duration> duration_from_ms(double ms);

// Exact and parseable, largest unit first: "1h30m", "1s500ms", "0s".
std::string to_string(Duration duration);

// Rounded, for people: to seconds from 10 s on, to tenths of a second from 1 s on, else to milliseconds:
// "12s", "1s300ms", "250ms".
std::string to_rounded_string(Duration duration);

// "2026-11-24T13:10:00.123Z", UTC with milliseconds.
std::string to_rfc3339(std::chrono::system_clock::time_point at);

}  // namespace mgpu
