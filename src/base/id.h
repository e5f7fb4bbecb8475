// Typed numeric ids: an id of one type can't be passed where another type is expected.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace mgpu {

template <class Tag>
struct Id {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(Id, Id) = default;
};

}  // namespace mgpu

template <class Tag>
struct std::hash<mgpu::Id<Tag>> {
  std::size_t operator()(mgpu::Id<Tag> id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
