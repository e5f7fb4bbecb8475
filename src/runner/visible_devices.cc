#include "runner/visible_devices.h"

#include <algorithm>

#include <fmt/ranges.h>

namespace mgpu::runner {

bool is_nvidia_uuid(std::string_view uuid) {
  constexpr std::size_t kLength = 40;  // GPU-51304c70-0000-4000-8000-000000000001
  return uuid.starts_with("MIG-") || (uuid.starts_with("GPU-") && uuid.size() == kLength);
}

std::optional<std::string> visible_devices_value(const std::vector<std::string>& uuids) {
  if (uuids.empty() || !std::ranges::all_of(uuids, is_nvidia_uuid)) return std::nullopt;
  return fmt::format("{}", fmt::join(uuids, ","));
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

}  // namespace mgpu::runner
