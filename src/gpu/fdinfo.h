// What /proc/PID/fdinfo/N tells of a client of a graphics driver (the kernel's drm-usage-stats). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/bytes.h"

namespace mgpu::gpu {

struct DrmClient {
  // Of whom there is one: a file that was inherited or passed on shows the same client in several processes.
  struct Id {
    std::string driver{};  // "amdgpu"
    std::string pdev{};    // "0000:03:00.0"
    std::uint64_t number = 0;
    friend auto operator<=>(const Id&, const Id&) = default;
  };
  Id id{};
  Bytes device{};  // in the device's own memory: regions vram*, local*
  Bytes host{};    // in host memory that the device uses: region gtt
};

// None: the text is of no such client. Of a region that is told in several ways counts what is resident; old
// kernels say "memory" for that, and some drivers only tell the total.
std::optional<DrmClient> parse_fdinfo(std::string_view text);

}  // namespace mgpu::gpu
