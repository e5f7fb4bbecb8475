// Which devices a process may use: the environment variables that each vendor's libraries read. Pure.
//
//   NVIDIA  CUDA_VISIBLE_DEVICES   UUIDs, also of MIG slices
//   AMD     ROCR_VISIBLE_DEVICES   UUIDs; HIP_VISIBLE_DEVICES then counts what is left: 0, 1, ...
//   Intel   ZE_AFFINITY_MASK       positions: Level Zero orders discrete devices by PCI address, as gpu/drm.h
//                                  does; ONEAPI_DEVICE_SELECTOR then counts what is left: level_zero:0,1,...
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/provider.h"

namespace mgpu::runner {

inline constexpr const char* kVisibleDevicesVariable = "CUDA_VISIBLE_DEVICES";

// Whether CUDA accepts the name. UUIDs of AMD begin alike, but are shorter.
bool is_nvidia_uuid(std::string_view uuid);

// The UUIDs in a value of CUDA_VISIBLE_DEVICES. Empty where the value names a device in another way, for
// example by its index.
std::vector<std::string> parse_visible_devices(std::string_view value);

struct DeviceBinding {
  std::map<std::string, std::string> variables{};  // that show the devices alone
  std::vector<std::string> uuids{};                // of the devices; empty where all are visible anyway
  // Why the process may compute elsewhere: its own variables name other devices, or a device has no name that
  // its vendor's libraries know. Empty: it can't.
  std::string problem{};
};

// How a process sees `devices` alone, which are some of `all` of this host. Nothing is needed, and nothing is
// set, where there is only one device: some programs expect numbers and not UUIDs. `own` are the variables of
// its configuration: where they choose devices of a vendor, they win.
DeviceBinding bind_devices(std::span<const gpu::DeviceInfo> devices, std::span<const gpu::DeviceInfo> all,
                           const std::map<std::string, std::string>& own);

}  // namespace mgpu::runner
