#include "daemon/connection_limit.h"

#include <algorithm>

namespace mgpu::daemon {
namespace {

constexpr std::uint64_t kOwnDescriptors = 64;
// Its output, log file and pidfd, and the connections that check its health, AI models and load.
constexpr std::uint64_t kPerConsumer = 6;
// The client's socket, the socket to the service, and a file for a body that is too large for memory.
constexpr std::uint64_t kPerConnection = 3;

}  // namespace

std::uint32_t fit_connection_limit(std::uint32_t configured, std::size_t consumers,
                                   std::uint64_t max_descriptors) {
  const std::uint64_t reserved = kOwnDescriptors + kPerConsumer * consumers;
  const std::uint64_t fitting =
      (max_descriptors > reserved ? max_descriptors - reserved : 0) / kPerConnection;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(configured, std::max<std::uint64_t>(fitting, kMinConnections)));
}

}  // namespace mgpu::daemon
