// One thing changed in a house, as words: "overtake_limit=5s", "capacity=2", "consumers.chat.pinned=true".
// For asking what would be if.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

#include "replay/machine.h"

namespace mgpu::replay {

// Error: invalid_request (no such key or consumer, or a value that is none).
Result<void> apply_setting(Machine& machine, std::string_view setting);

// Every key, as they are written: "overtake_limit", ..., "consumers.NAME.footprint", ...
std::vector<std::string> setting_names();

}  // namespace mgpu::replay
