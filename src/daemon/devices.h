// Opens the providers of the machine's devices: NVML for NVIDIA, /sys and /proc (DRM) for AMD and Intel.
#pragma once

#include <memory>

#include "config/config.h"
#include "gpu/provider.h"

namespace mgpu::daemon {

// The environment variable MGPU_NVML_LIBRARY replaces the configured NVML library; MGPU_DRM_ROOT names a
// folder whose `sys` and `proc` replace the machine's.
//
// With `gpu.provider: auto`, all devices found are used, except: a simulated device excludes real ones, and
// DRM devices that all use host memory (an APU) are left out where NVML has a device.
//
// Error: unavailable, with every place that was searched.
Result<std::unique_ptr<gpu::Provider>> open_devices(const config::GpuConfig& config);

}  // namespace mgpu::daemon
