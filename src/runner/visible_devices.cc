#include "runner/visible_devices.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mgpu::runner {

namespace {

using Devices = std::span<const gpu::DeviceInfo>;
using Variables = std::map<std::string, std::string>;

struct ChoosingVariable {
  gpu::Vendor vendor;
  const char* name;
  bool is_list;  // of indices or UUIDs
};
constexpr std::array<ChoosingVariable, 5> kChoosingVariables{
    {{gpu::Vendor::nvidia, kVisibleDevicesVariable, true},
     {gpu::Vendor::amd, "ROCR_VISIBLE_DEVICES", true},
     {gpu::Vendor::amd, "HIP_VISIBLE_DEVICES", true},
     {gpu::Vendor::intel, "ZE_AFFINITY_MASK", true},
     {gpu::Vendor::intel, "ONEAPI_DEVICE_SELECTOR", false}}};

std::vector<gpu::DeviceInfo> of_vendor(Devices devices, gpu::Vendor vendor) {
  std::vector<gpu::DeviceInfo> found;
  std::ranges::copy_if(devices, std::back_inserter(found),
                       [&](const gpu::DeviceInfo& device) { return device.vendor == vendor; });
  return found;
}

// "0,1,2" for three.
std::string count_up(std::size_t count) {
  std::vector<std::size_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = i;
  return fmt::format("{}", fmt::join(numbers, ","));
}

std::string joined_uuids(Devices devices) {
  std::vector<std::string> uuids;
  for (const gpu::DeviceInfo& device : devices) uuids.push_back(device.uuid);
  return fmt::format("{}", fmt::join(uuids, ","));
}

void bind_nvidia(Devices devices, Devices all, DeviceBinding& binding) {
  if (const auto unknown = std::ranges::find_if_not(devices, is_nvidia_uuid, &gpu::DeviceInfo::uuid);
      unknown != devices.end()) {
    binding.problem = fmt::format("{} has no UUID that CUDA knows ({})", unknown->name, unknown->uuid);
    return;
  }
  binding.variables[kVisibleDevicesVariable] = joined_uuids(devices);
  // A program that can use either vendor's devices must not find the other's.
  if (!of_vendor(all, gpu::Vendor::amd).empty()) binding.variables["ROCR_VISIBLE_DEVICES"] = "-1";
}

void bind_amd(Devices devices, DeviceBinding& binding) {
  for (const gpu::DeviceInfo& device : devices)
    if (!device.uuid.starts_with("GPU-")) {
      binding.problem = fmt::format("{} has no unique id by which ROCm could choose it", device.name);
      return;
    }
  binding.variables["ROCR_VISIBLE_DEVICES"] = joined_uuids(devices);
  binding.variables["HIP_VISIBLE_DEVICES"] = count_up(devices.size());
}

void bind_intel(Devices devices, Devices all, DeviceBinding& binding) {
  std::vector<std::size_t> positions;
  const std::vector<gpu::DeviceInfo> siblings = of_vendor(all, gpu::Vendor::intel);
  for (const gpu::DeviceInfo& device : devices) {
    const auto at = std::ranges::find(siblings, device.uuid, &gpu::DeviceInfo::uuid);
    positions.push_back(static_cast<std::size_t>(at - siblings.begin()));
  }
  binding.variables["ZE_AFFINITY_MASK"] = fmt::format("{}", fmt::join(positions, ","));
  binding.variables["ZE_ENABLE_PCI_ID_DEVICE_ORDER"] = "0";  // 1 would order integrated ones among the others
  binding.variables["ONEAPI_DEVICE_SELECTOR"] = "level_zero:" + count_up(devices.size());
}

// The UUIDs that a list of indices and UUIDs names, UUIDs also by their beginning; of the devices of one
// vendor. Something that names no device ends the list, as it does for CUDA.
std::set<std::string> named_uuids(std::string_view list, Devices siblings) {
  std::set<std::string> named;
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(one.size() + 1, list.size()));
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), index);
    const bool is_index = error == std::errc{} && (end == one.data() + one.size() || *end == '.');
    const auto matches = [&](const gpu::DeviceInfo& device) {
      return !one.empty() && device.uuid.starts_with(one);
    };
    const auto found = is_index
                           ? siblings.begin() + static_cast<std::ptrdiff_t>(std::min(index, siblings.size()))
                           : std::ranges::find_if(siblings, matches);
    if (found == siblings.end()) break;
    named.insert(found->uuid);
  }
  return named;
}

// What the configuration's own variables choose instead of `devices`; empty: nothing else.
std::string find_contradiction(Devices devices, Devices all, const Variables& own, gpu::Vendor vendor) {
  std::set<std::string> wanted;
  for (const gpu::DeviceInfo& device : devices) wanted.insert(device.uuid);
  const std::vector<gpu::DeviceInfo> siblings = of_vendor(all, vendor);
  for (const ChoosingVariable& variable : kChoosingVariables) {
    const auto set = own.find(variable.name);
    if (variable.vendor != vendor || !variable.is_list || set == own.end()) continue;
    if (named_uuids(set->second, siblings) == wanted) continue;
    return fmt::format("its env sets {}={}, which is not {}", set->first, set->second, joined_uuids(devices));
  }
  return "";
}

bool chooses_devices(const Variables& own, gpu::Vendor vendor) {
  return std::ranges::any_of(kChoosingVariables, [&](const ChoosingVariable& variable) {
    return variable.vendor == vendor && own.contains(variable.name);
  });
}

}  // namespace

bool is_nvidia_uuid(std::string_view uuid) {
  constexpr std::size_t kLength = 40;  // GPU-51304c70-0000-4000-8000-000000000001
  return uuid.starts_with("MIG-") || (uuid.starts_with("GPU-") && uuid.size() == kLength);
}

std::vector<std::string> parse_visible_devices(std::string_view value) {
  std::vector<std::string> uuids;
  while (!value.empty()) {
    const std::string_view uuid = value.substr(0, value.find(','));
    if (!is_nvidia_uuid(uuid)) return {};
    uuids.emplace_back(uuid);
    value.remove_prefix(std::min(uuid.size() + 1, value.size()));
  }
  return uuids;
}

DeviceBinding bind_devices(Devices devices, Devices all, const Variables& own) {
  DeviceBinding binding;
  if (devices.empty() || all.size() < 2) return binding;
  for (const gpu::DeviceInfo& device : devices) binding.uuids.push_back(device.uuid);
  const gpu::Vendor vendor = devices.front().vendor;
  if (!std::ranges::all_of(devices, [&](const gpu::DeviceInfo& device) { return device.vendor == vendor; })) {
    binding.problem = "its devices are of several vendors, whose libraries can't be restricted together";
    return binding;
  }
  if (chooses_devices(own, vendor)) {
    binding.problem = find_contradiction(devices, all, own, vendor);
    return binding;
  }
  if (vendor == gpu::Vendor::nvidia) bind_nvidia(devices, all, binding);
  if (vendor == gpu::Vendor::amd) bind_amd(devices, binding);
  if (vendor == gpu::Vendor::intel) bind_intel(devices, all, binding);
  return binding;
}

}  // namespace mgpu::runner
