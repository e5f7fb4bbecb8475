// What the scanners of the three body forms share: the answer, and where they write what they found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mgpu::gateway {

inline constexpr std::size_t kMaxModelName = 256;

enum class Search : std::uint8_t { still_looking, found, absent, invalid };

// [begin, end) in bytes of the body.
struct Span {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

struct Finding {
  std::string name{};
  Span where{};
  std::string reason{};

  Search invalid(std::string why) {
    reason = std::move(why);
    return Search::invalid;
  }
};

}  // namespace mgpu::gateway
