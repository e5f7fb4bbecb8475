// How many connections of clients fit into the limit of open files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mgpu::daemon {

// `configured` (limits.max_connections), or fewer where `max_descriptors` files are too few for that many; at
// least kMinConnections, unless `configured` is less.
std::uint32_t fit_connection_limit(std::uint32_t configured, std::size_t consumers,
                                   std::uint64_t max_descriptors);

inline constexpr std::uint32_t kMinConnections = 16;

}  // namespace mgpu::daemon
