#include "gpu/run_mark.h"

#include <algorithm>

#include "gpu/small_file.h"

namespace mgpu::gpu {

std::string lease_run_id(int pid, std::uint64_t start_time) {
  return "lease-" + std::to_string(pid) + "-" + std::to_string(start_time);
}

std::string run_id_of_cgroup(std::string_view text) {
  const auto at = text.rfind(std::string("/").append(kRunCgroupPrefix));
  if (at == std::string_view::npos) return {};
  const std::string_view id = text.substr(at + 1 + kRunCgroupPrefix.size());
  return std::string(id.substr(0, id.find_first_of("/\n")));
}

std::string find_in_environment(std::string_view block, std::string_view name) {
  while (!block.empty()) {
    const auto end = std::min(block.find('\0'), block.size());
    const std::string_view entry = block.substr(0, end);
    if (entry.starts_with(name) && entry.substr(name.size()).starts_with('='))
      return std::string(entry.substr(name.size() + 1));
    block.remove_prefix(std::min(end + 1, block.size()));
  }
  return {};
}

std::string read_run_id(int pid, const std::string& proc) {
  const std::string folder = proc + "/" + std::to_string(pid);
  std::string id = find_in_environment(read_file_text(folder + "/environ"), kRunVariable);
  return id.empty() ? run_id_of_cgroup(read_file_text(folder + "/cgroup")) : id;
}

}  // namespace mgpu::gpu
