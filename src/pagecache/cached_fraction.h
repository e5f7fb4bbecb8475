// Measures how much of a set of files is in the page cache, since the duration of a load depends on it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mgpu::pagecache {

// The regular files among `paths`, and in folders, recursively, the files of at least kLargeFileBytes; the
// largest first. Missing paths are ignored.
std::vector<std::string> list_weight_files(std::span<const std::string> paths);

inline constexpr std::int64_t kLargeFileBytes = 16 << 20;

// The fraction of the files' bytes in the page cache, 0 to 1, from an evenly spaced sample of pages. Does not
// read the files. nullopt: no file exists, or this process may not write them (the kernel hides the state
// then).
std::optional<double> cached_fraction(std::span<const std::string> files);

}  // namespace mgpu::pagecache
