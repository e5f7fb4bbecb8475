// The log as a person reads it: one line for each grant, load, eviction and refusal.
#pragma once

#include <optional>
#include <string>

#include "engine/journal.h"
#include "registry/registry.h"

namespace mgpu::daemon {

struct Line {
  std::string text{};
  bool warning = false;
};

// None for what is routine.
std::optional<Line> told(const engine::Entry& entry, const Registry& registry);

}  // namespace mgpu::daemon
