// Finds what two consumers may not share: a name that selects a consumer, a systemd unit, a container, a
// listen address.
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
