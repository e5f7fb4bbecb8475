// Whether a device must be left to a foreign program. Values only.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gpu/provider.h"

namespace mgpu::engine {

// The name of the program in a command line: the last component of its path. Windows programs (under Wine)
// report their own path, including blanks: "Z:\Some Games\play.exe -windowed" is "play.exe".
std::string_view program_name(std::string_view command);

// The first process whose program name matches one of the patterns (shell wildcards, case-insensitive).
std::optional<gpu::ProcessUsage> find_yield_process(std::span<const std::string> patterns,
                                                    std::span<const gpu::ProcessUsage> foreign);

}  // namespace mgpu::engine
