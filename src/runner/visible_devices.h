// Which NVIDIA devices a process may use: the value of CUDA's variable CUDA_VISIBLE_DEVICES. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::runner {

inline constexpr const char* kVisibleDevicesVariable = "CUDA_VISIBLE_DEVICES";

// Whether CUDA accepts the name. UUIDs of AMD begin alike, but are shorter.
bool is_nvidia_uuid(std::string_view uuid);

// The value that shows these devices alone. Null: no devices, or one that CUDA does not know by its UUID.
std::optional<std::string> visible_devices_value(const std::vector<std::string>& uuids);

// The UUIDs in a value. Empty where the value names a device in another way, for example by its index.
std::vector<std::string> parse_visible_devices(std::string_view value);

}  // namespace mgpu::runner
