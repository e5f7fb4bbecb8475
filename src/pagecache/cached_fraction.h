// Whether files are in the page cache: what a load that reads them will cost depends on it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mgpu::pagecache {

// The regular files that `paths` name: each file itself, and of a folder the files in it and below that weigh
// something (at least kLargeFileBytes bytes), the largest first. What is not there is left out.
std::vector<std::string> list_weight_files(std::span<const std::string> paths);

inline constexpr std::int64_t kLargeFileBytes = 16 << 20;

// The part of the files' bytes that is in the page cache, 0 to 1, from a sample of pages spread evenly. Reads
// nothing. None: no such file, or the kernel does not tell us (it tells only who may write a file).
std::optional<double> cached_fraction(std::span<const std::string> files);

}  // namespace mgpu::pagecache
