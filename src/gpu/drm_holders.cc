#include "gpu/drm_holders.h"

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

bool is_of_dri(const std::string& file_descriptor) {
  constexpr std::string_view kFolder = "/dev/dri/";
  std::array<char, 64> target{};
  const ssize_t length = readlink(file_descriptor.c_str(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)).starts_with(kFolder);
}

std::uint64_t number_of(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

// kfd writes bus, device and function as one number.
std::string pci_address(std::uint64_t domain, std::uint64_t location) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04x:%02x:%02x.%x", static_cast<unsigned>(domain),
                static_cast<unsigned>(location >> 8U & 0xFFU), static_cast<unsigned>(location >> 3U & 0x1FU),
                static_cast<unsigned>(location & 7U));
  return text.data();
}

}  // namespace

DrmHolders read_drm_holders(const std::string& proc) {
  DrmHolders holders;
  std::set<DrmClient::Id> counted;
  std::vector<int> pids = numbers_in(proc).value_or(std::vector<int>{});
  std::ranges::sort(pids);  // who opened a file is mostly older than who inherited it
  for (const int pid : pids) {
    const std::string folder = proc + "/" + std::to_string(pid);
    const auto fds = numbers_in(folder + "/fd");
    if (!fds) holders.unseen.push_back(pid);
    for (const int fd : fds.value_or(std::vector<int>{})) {
      if (!is_of_dri(folder + "/fd/" + std::to_string(fd))) continue;
      const auto client = parse_fdinfo(text_of_file(folder + "/fdinfo/" + std::to_string(fd)));
      if (!client || !counted.insert(client->id).second) continue;
      DrmHolding& holding = holders.by_device[client->id.pdev][pid];
      holding.device += client->device;
      holding.host += client->host;
    }
  }
  return holders;
}

std::map<std::string, std::uint64_t> read_kfd_devices(const std::string& sys) {
  std::map<std::string, std::uint64_t> devices;
  const std::string nodes = sys + "/class/kfd/kfd/topology/nodes";
  for (const int node : numbers_in(nodes).value_or(std::vector<int>{})) {
    const std::string folder = nodes + "/" + std::to_string(node);
    const auto number = number_in_file(folder + "/gpu_id");
    if (!number || *number == 0) continue;  // a processor
    const std::string properties = folder + "/properties";
    devices[pci_address(number_of(value_in_file(properties, "domain")),
                        number_of(value_in_file(properties, "location_id")))] =
        static_cast<std::uint64_t>(*number);
  }
  return devices;
}

std::map<int, Bytes> read_kfd_holders(const std::string& sys, std::uint64_t device) {
  std::map<int, Bytes> holders;
  const std::string processes = sys + "/class/kfd/kfd/proc";
  for (const int pid : numbers_in(processes).value_or(std::vector<int>{})) {
    const auto bytes =
        number_in_file(processes + "/" + std::to_string(pid) + "/vram_" + std::to_string(device));
    if (bytes && *bytes > 0) holders[pid] = Bytes{*bytes};
  }
  return holders;
}

}  // namespace mgpu::gpu
