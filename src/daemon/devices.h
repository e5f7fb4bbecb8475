// Which devices the daemon looks after: NVIDIA's through NVML, AMD's and Intel's through /sys and /proc.
#pragma once

#include <memory>

#include "config/config.h"
#include "gpu/provider.h"

namespace mgpu::daemon {

// Loads NVML from the config's library; env MGPU_NVML_LIBRARY wins. Env MGPU_DRM_ROOT names a folder whose
// `sys` and `proc` are read in place of the machine's. Error, with all that was looked for: unavailable.
//
// With `auto` everything that is there is taken, with two exceptions: a simulated device stands alone, and
// an APU's graphics stand back behind any other device.
Result<std::unique_ptr<gpu::Provider>> open_devices(const config::GpuConfig& config);

}  // namespace mgpu::daemon
