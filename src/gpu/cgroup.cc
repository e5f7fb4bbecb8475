#include "gpu/cgroup.h"

#include <algorithm>
#include <array>

namespace mgpu::gpu {
namespace {

constexpr std::size_t kIdLength = 64;

bool is_id(std::string_view text) {
  return text.size() == kIdLength && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "docker-ID.scope" (systemd makes the cgroups), "ID" (they are made directly). libpod-conmon-ID is no
// container: the monitor that watches one.
std::string_view container_of(std::string_view element) {
  constexpr std::array<std::string_view, 5> kEngines{"docker-", "libpod-payload-", "libpod-",
                                                     "cri-containerd-", "crio-"};
  for (const std::string_view engine : kEngines) {
    if (!element.starts_with(engine)) continue;
    element.remove_prefix(engine.size());
    break;
  }
  if (element.ends_with(".scope")) element.remove_suffix(std::string_view(".scope").size());
  return is_id(element) ? element : std::string_view{};
}

// One path. What an earlier hierarchy said stays.
class Path {
 public:
  explicit Path(CgroupNames& into) : into_(into) {}
  void end() {
    if (into_.unit.empty()) into_.unit = unit_;
    if (into_.container.empty()) into_.container = container_;
    if (into_.slurm_job.empty()) into_.slurm_job = slurm_job_;
  }
  void step(std::string_view element) {
    constexpr std::string_view kJob = "job_";
    if (const auto id = container_of(element); !id.empty()) container_ = id;
    if (container_.empty() && element.ends_with(".service") && !element.starts_with("user@")) unit_ = element;
    if (element.find("slurm") != std::string_view::npos) below_slurm_ = true;
    if (below_slurm_ && element.starts_with(kJob) && is_number(element.substr(kJob.size())))
      slurm_job_ = element.substr(kJob.size());
  }

 private:
  CgroupNames& into_;
  std::string_view unit_{};
  std::string_view container_{};
  std::string_view slurm_job_{};
  bool below_slurm_ = false;
};

std::string_view cut(std::string_view& text, char at) {
  const auto end = std::min(text.find(at), text.size());
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

}  // namespace

CgroupNames names_in_cgroup(std::string_view text) {
  CgroupNames names;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    cut(line, ':');  // the number of the hierarchy
    cut(line, ':');  // its controllers
    Path path(names);
    while (!line.empty()) path.step(cut(line, '/'));
    path.end();
  }
  return names;
}

}  // namespace mgpu::gpu
