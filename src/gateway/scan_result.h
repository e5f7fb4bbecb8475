// Shared by the scanners of the three body formats: their status and their result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mgpu::gateway {

inline constexpr std::size_t kMaxModelName = 256;

enum class ScanStatus : std::uint8_t { still_looking, found, absent, invalid };

// [begin, end) as byte offsets in the body.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct ScanResult {
  std::string name{};
  ByteRange range{};
  std::string reason{};

  ScanStatus set_invalid(std::string why) {
    reason = std::move(why);
    return ScanStatus::invalid;
  }
};

}  // namespace mgpu::gateway
