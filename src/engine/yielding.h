// Whether a device is to be left to a foreign program. Values only.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gpu/provider.h"

namespace mgpu::engine {

// The name of the program in a command line: the last part of its file's path. Windows' programs (under Wine)
// show their own path, blanks and all: "Z:\Some Games\play.exe -windowed" is "play.exe".
std::string_view program_name(std::string_view command);

// The first of the processes whose program's name matches one of the patterns (as a shell matches, but
// whatever the case).
std::optional<gpu::ProcessUsage> find_yield_process(std::span<const std::string> patterns,
                                                    std::span<const gpu::ProcessUsage> foreign);

}  // namespace mgpu::engine
