// Shell patterns (`*`, `?`, `[...]`) in configured lists: names of programs, hosts and origins.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include <fnmatch.h>

namespace mgpu {

// Whether the text matches one of the patterns; case is ignored.
inline bool matches_any_pattern(std::span<const std::string> patterns, const std::string& text) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), text.c_str(), FNM_CASEFOLD) == 0;
  });
}

}  // namespace mgpu
