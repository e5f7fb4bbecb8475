#include "gpu/drm_usage.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string_view>

#include <unistd.h>

#include "gpu/fdinfo.h"
#include "gpu/process_table.h"
#include "gpu/small_file.h"

namespace mgpu::gpu {
namespace {

bool is_dri_file(const std::string& file_descriptor) {
  constexpr std::string_view kFolder = "/dev/dri/";
  std::array<char, 64> target{};
  const ssize_t length = readlink(file_descriptor.c_str(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)).starts_with(kFolder);
}

std::uint64_t parse_number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

// kfd encodes bus, device and function in one number.
std::string format_pci_address(std::uint64_t domain, std::uint64_t location) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04x:%02x:%02x.%x", static_cast<unsigned>(domain),
                static_cast<unsigned>(location >> 8U & 0xFFU), static_cast<unsigned>(location >> 3U & 0x1FU),
                static_cast<unsigned>(location & 7U));
  return text.data();
}

}  // namespace

DrmUsage read_drm_usage(const std::string& proc) {
  DrmUsage usage;
  std::set<DrmClient::Id> counted;
  std::vector<int> pids = list_numeric_entries(proc).value_or(std::vector<int>{});
  std::ranges::sort(
      pids);  // the process that opened a file mostly has a lower pid than one that inherited it
  for (const int pid : pids) {
    const std::string folder = proc + "/" + std::to_string(pid);
    const auto fds = list_numeric_entries(folder + "/fd");
    if (!fds) usage.unreadable_pids.push_back(pid);
    for (const int fd : fds.value_or(std::vector<int>{})) {
      if (!is_dri_file(folder + "/fd/" + std::to_string(fd))) continue;
      const auto client = parse_fdinfo(read_file_text(folder + "/fdinfo/" + std::to_string(fd)));
      if (!client || !counted.insert(client->id).second) continue;
      DrmProcessUsage& process_usage = usage.by_device[client->id.pdev][pid];
      process_usage.device += client->device;
      process_usage.host += client->host;
    }
  }
  return usage;
}

std::map<std::string, std::uint64_t> read_kfd_ids(const std::string& sys) {
  std::map<std::string, std::uint64_t> devices;
  const std::string nodes = sys + "/class/kfd/kfd/topology/nodes";
  for (const int node : list_numeric_entries(nodes).value_or(std::vector<int>{})) {
    const std::string folder = nodes + "/" + std::to_string(node);
    const auto gpu_id = read_file_number(folder + "/gpu_id");
    if (!gpu_id || *gpu_id == 0) continue;  // the node of a processor
    const std::string properties = folder + "/properties";
    devices[format_pci_address(parse_number(read_file_value(properties, "domain")),
                               parse_number(read_file_value(properties, "location_id")))] =
        static_cast<std::uint64_t>(*gpu_id);
  }
  return devices;
}

std::map<int, Bytes> read_kfd_usage(const std::string& sys, std::uint64_t kfd_id) {
  std::map<int, Bytes> bytes_by_pid;
  const std::string processes = sys + "/class/kfd/kfd/proc";
  for (const int pid : list_numeric_entries(processes).value_or(std::vector<int>{})) {
    const auto bytes =
        read_file_number(processes + "/" + std::to_string(pid) + "/vram_" + std::to_string(kfd_id));
    if (bytes && *bytes > 0) bytes_by_pid[pid] = Bytes{*bytes};
  }
  return bytes_by_pid;
}

}  // namespace mgpu::gpu
