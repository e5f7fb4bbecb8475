// Provider `drm`: AMD and Intel devices, read from files of /sys and /proc alone.
//
// amdgpu reports total and used bytes. xe and the i915 of Intel's packages report the total; the used bytes
// are the sum over all clients that may be inspected. The i915 of the mainline kernel reports no total: such
// a device is not listed. The bytes of a process come from the fdinfo of its open files, for ROCm also from
// kfd; the larger number counts.
//
// An APU uses a part of the host's memory. It is listed only if there is no device with dedicated memory. Its
// memory is the part set aside plus the part that it may borrow: total = vram + gtt.
#pragma once

#include <memory>
#include <string>

#include "gpu/provider.h"

namespace mgpu::gpu {

struct DrmRoots {
  std::string sys = "/sys";
  std::string proc = "/proc";
};

// Devices are ordered by PCI address. Error: unavailable (no usable device; the detail lists the others).
Result<std::unique_ptr<Provider>> open_drm(DrmRoots roots = {});

}  // namespace mgpu::gpu
