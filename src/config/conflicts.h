// What two consumers can't have both: a name that requests choose by, a unit, a container, a port to listen
// on.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

struct Conflict {
  std::string path{};  // of the later one's key: "consumers.chat.url"
  std::string message{};
};

// In the order of the consumers.
std::vector<Conflict> find_conflicts(const std::vector<ConsumerConfig>& consumers);

}  // namespace mgpu::config
