// Parses /proc/PID/fdinfo/N of a graphics driver's client (drm-usage-stats in the kernel's documentation).
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/bytes.h"

namespace mgpu::gpu {

struct DrmClient {
  // Unique: an inherited or passed file descriptor shows the same client in several processes.
  struct Id {
    std::string driver{};  // "amdgpu"
    std::string pdev{};    // "0000:03:00.0"
    std::uint64_t number = 0;
    friend auto operator<=>(const Id&, const Id&) = default;
  };
  Id id{};
  Bytes device{};  // in device memory: regions vram*, local*
  Bytes host{};    // in host memory mapped by the device: region gtt
};

// nullopt: the text does not describe such a client. Of a region's values the resident bytes count; old
// kernels call them "memory", and some drivers report only the total.
std::optional<DrmClient> parse_fdinfo(std::string_view text);

}  // namespace mgpu::gpu
