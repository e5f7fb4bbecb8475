// Provider `drm`: AMD and Intel devices, read from files of /sys and /proc alone.
//
// amdgpu tells total and used bytes; xe and the i915 of Intel's own packages tell the total, and what is used
// is the sum of all clients that we may look at. An i915 of the plain kernel tells no total: such a device is
// not listed. What a process holds is told in the fdinfo of its open files, and for ROCm also by kfd: the
// larger counts.
//
// An APU has no memory of its own, just a part of the host's set aside. It is listed where no device with
// memory of its own is, and its memory is what was set aside plus what it may borrow: total = vram + gtt.
#pragma once

#include <memory>
#include <string>

#include "gpu/provider.h"

namespace mgpu::gpu {

struct DrmRoots {
  std::string sys = "/sys";
  std::string proc = "/proc";
};

// Devices are numbered by their PCI address. Error, saying what was found instead: unavailable.
Result<std::unique_ptr<Provider>> open_drm(DrmRoots roots = {});

}  // namespace mgpu::gpu
