#include "gpu/fdinfo.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace mgpu::gpu {
namespace {

// "23992 KiB", "16 MiB"; a number without a unit is in bytes.
std::optional<Bytes> parse_amount(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.find("KiB") != std::string_view::npos) return kKiB * number;
  if (unit.find("MiB") != std::string_view::npos) return kMiB * number;
  if (unit.find("GiB") != std::string_view::npos) return kGiB * number;
  return Bytes{number};
}

// The keys for a region's bytes, the preferred one first.
constexpr std::array<std::string_view, 3> kRegionKeyPrefixes{"drm-resident-", "drm-memory-", "drm-total-"};

struct RegionBytes {
  std::size_t rank = kRegionKeyPrefixes.size();
  Bytes bytes{};
};

void record_region(std::map<std::string, RegionBytes, std::less<>>& regions, std::string_view key,
                   std::string_view value) {
  for (std::size_t rank = 0; rank < kRegionKeyPrefixes.size(); ++rank) {
    if (!key.starts_with(kRegionKeyPrefixes[rank])) continue;
    const auto bytes = parse_amount(value);
    RegionBytes& region = regions[std::string(key.substr(kRegionKeyPrefixes[rank].size()))];
    if (bytes && rank < region.rank) region = {.rank = rank, .bytes = *bytes};
  }
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

std::optional<DrmClient> parse_fdinfo(std::string_view text) {
  DrmClient client;
  bool has_client_id = false;
  std::map<std::string, RegionBytes, std::less<>> regions;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (key == "drm-driver") client.id.driver = value;
    if (key == "drm-pdev") client.id.pdev = value;
    if (key == "drm-client-id")
      has_client_id =
          std::from_chars(value.data(), value.data() + value.size(), client.id.number).ec == std::errc{};
    record_region(regions, key, value);
  }
  if (client.id.driver.empty() || client.id.pdev.empty() || !has_client_id) return std::nullopt;
  for (const auto& [name, region] : regions) {
    if (name.starts_with("vram") || name.starts_with("local")) client.device += region.bytes;
    if (name == "gtt") client.host += region.bytes;
  }
  return client;
}

}  // namespace mgpu::gpu
