// Bytes: an amount of memory. Signed, because headroom may be negative.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mgpu {

struct Bytes {
  std::int64_t count = 0;

  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
  friend constexpr Bytes operator*(Bytes a, std::int64_t n) { return {a.count * n}; }
  constexpr Bytes& operator+=(Bytes b) { return count += b.count, *this; }
  constexpr Bytes& operator-=(Bytes b) { return count -= b.count, *this; }
};

inline constexpr Bytes kKiB{1024};
inline constexpr Bytes kMiB{1024 * 1024};
inline constexpr Bytes kGiB{1024LL * 1024 * 1024};

// The largest amount that is accepted from outside: headers, configuration keys, options, JSON, file
// headers, responses of services. A sum of thousands of such amounts does not overflow.
inline constexpr Bytes kLargestBytes = kGiB * (1024LL * 1024);

// "14GiB", "512 MiB", "1.5G", "8GB", "4096". KiB/MiB/GiB/TiB and K/M/G/T are powers of 1024, KB/MB/GB/TB
// powers of 1000; no unit means bytes. Never negative, kLargestBytes at most. Error: invalid_request.
Result<Bytes> parse_bytes(std::string_view text);

// Converts a number from an external source (JSON). None unless it is within 0..kLargestBytes.
std::optional<Bytes> bytes_from_number(double count);

// Rounded, for people: "14.0 GiB", "512 MiB", "0 B", "-1.5 GiB".
std::string to_string(Bytes bytes);

// Exact and parseable, for files: the largest binary unit that divides it ("14GiB", "1536MiB", "123").
std::string to_exact_string(Bytes bytes);

}  // namespace mgpu
