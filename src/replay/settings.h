// Settings: changes of a machine as text, to compare replays: "overtake_limit=5s", "capacity=2",
// "consumers.chat.pinned=true".
#pragma once

#include <string_view>

#include "base/result.h"

#include "replay/machine.h"

namespace mgpu::replay {

// Error: invalid_request (unknown key, naming the known ones; unknown consumer, invalid value).
Result<void> apply_setting(Machine& machine, std::string_view setting);

}  // namespace mgpu::replay
