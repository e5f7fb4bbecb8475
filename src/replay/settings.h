// Settings: changes of a machine as text, to compare replays: "overtake_limit=5s", "capacity=2",
// "consumers.chat.pinned=true".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

#include "replay/machine.h"

namespace mgpu::replay {

// Error: invalid_request (unknown key or consumer, invalid value).
Result<void> apply_setting(Machine& machine, std::string_view setting);

// All keys: "overtake_limit", ..., "consumers.NAME.footprint", ...
std::vector<std::string> setting_names();

}  // namespace mgpu::replay
