#include "daemon/devices.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "gpu/composite_provider.h"
#include "gpu/drm.h"

namespace mgpu::daemon {
namespace {

std::string env_variable_or(const char* name, std::string fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : std::move(fallback);
}

Result<std::unique_ptr<gpu::Provider>> open_nvml(const config::GpuConfig& config) {
  return gpu::open_nvml(env_variable_or("MGPU_NVML_LIBRARY", config.library));
}

Result<std::unique_ptr<gpu::Provider>> open_drm() {
  const std::string root = env_variable_or("MGPU_DRM_ROOT", "");
  return gpu::open_drm({.sys = root + "/sys", .proc = root + "/proc"});
}

bool is_simulated(const gpu::Provider& provider) {
  return !provider.devices().empty() && provider.devices().front().simulated;
}

bool all_use_host_memory(const gpu::Provider& provider) {
  return std::ranges::all_of(provider.devices(), &gpu::DeviceInfo::host_memory);
}

Result<std::unique_ptr<gpu::Provider>> open_all(const config::GpuConfig& config) {
  auto nvml = open_nvml(config);
  const bool has_nvml = nvml && !(*nvml)->devices().empty();
  if (has_nvml && is_simulated(**nvml)) return nvml;
  auto drm = open_drm();
  if (!has_nvml && !drm) {
    const std::string no_nvml = nvml ? "the NVML library lists no device" : nvml.error().detail;
    return fail(ErrorCode::unavailable, no_nvml + "\n" + drm.error().detail);
  }
  std::vector<std::unique_ptr<gpu::Provider>> providers;
  if (has_nvml) providers.push_back(std::move(*nvml));
  if (drm && !(has_nvml && all_use_host_memory(**drm))) providers.push_back(std::move(*drm));
  return gpu::combine_providers(std::move(providers));
}

Result<std::unique_ptr<gpu::Provider>> open_configured(const config::GpuConfig& config) {
  switch (config.provider) {
    case config::GpuProvider::nvml:
      return open_nvml(config);
    case config::GpuProvider::drm:
      return open_drm();
    case config::GpuProvider::automatic:
      break;
  }
  return open_all(config);
}

}  // namespace

Result<std::unique_ptr<gpu::Provider>> open_devices(const config::GpuConfig& config) {
  auto provider = open_configured(config);
  if (!provider) provider.error().detail += "\nTo try without a GPU: mgpu serve --simulated 24GiB";
  return provider;
}

}  // namespace mgpu::daemon
