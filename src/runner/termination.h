// What the ends of all runners have in common.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace mgpu::runner {

inline constexpr Duration kKillLimit{5'000'000};  // SIGKILL works at once, unless a driver call hangs
inline constexpr std::size_t kExitLogLines = 20;

// `who` was killed, and is still there after kKillLimit.
Error survived_kill_error(const std::string& who);

}  // namespace mgpu::runner
