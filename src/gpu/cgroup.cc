#include "gpu/cgroup.h"

#include <algorithm>
#include <array>

namespace mgpu::gpu {
namespace {

constexpr std::size_t kContainerIdLength = 64;

bool is_container_id(std::string_view text) {
  return text.size() == kContainerIdLength &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "docker-ID.scope" (cgroups made by systemd) or "ID" (cgroups made by the engine). libpod-conmon-ID is not a
// container but Podman's monitor process.
std::string_view container_id(std::string_view element) {
  constexpr std::array<std::string_view, 5> kEngines{"docker-", "libpod-payload-", "libpod-",
                                                     "cri-containerd-", "crio-"};
  for (const std::string_view engine : kEngines) {
    if (!element.starts_with(engine)) continue;
    element.remove_prefix(engine.size());
    break;
  }
  if (element.ends_with(".scope")) element.remove_suffix(std::string_view(".scope").size());
  return is_container_id(element) ? element : std::string_view{};
}

// Parses the path of one hierarchy. Names found in an earlier hierarchy take precedence.
class CgroupPathParser {
 public:
  explicit CgroupPathParser(CgroupNames& names) : names_(names) {}
  void finish() {
    if (names_.unit.empty()) names_.unit = unit_;
    if (names_.container.empty()) names_.container = container_;
    if (names_.slurm_job.empty()) names_.slurm_job = slurm_job_;
  }
  void add_element(std::string_view element) {
    constexpr std::string_view kJobPrefix = "job_";
    if (const auto id = container_id(element); !id.empty()) container_ = id;
    if (container_.empty() && element.ends_with(".service") && !element.starts_with("user@")) unit_ = element;
    if (element.find("slurm") != std::string_view::npos) below_slurm_ = true;
    if (below_slurm_ && element.starts_with(kJobPrefix) && is_number(element.substr(kJobPrefix.size())))
      slurm_job_ = element.substr(kJobPrefix.size());
  }

 private:
  CgroupNames& names_;
  std::string_view unit_{};
  std::string_view container_{};
  std::string_view slurm_job_{};
  bool below_slurm_ = false;
};

std::string_view split_off(std::string_view& text, char delimiter) {
  const auto end = std::min(text.find(delimiter), text.size());
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

}  // namespace

CgroupNames parse_cgroup(std::string_view text) {
  CgroupNames names;
  while (!text.empty()) {
    std::string_view line = split_off(text, '\n');
    split_off(line, ':');  // hierarchy number
    split_off(line, ':');  // controllers
    CgroupPathParser parser(names);
    while (!line.empty()) parser.add_element(split_off(line, '/'));
    parser.finish();
  }
  return names;
}

}  // namespace mgpu::gpu
