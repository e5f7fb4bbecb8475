// Which unit, container and batch job a process runs in, told from its /proc/PID/cgroup. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mgpu::gpu {

// Empty where it runs in none.
struct CgroupNames {
  std::string unit{};       // systemd's, as the host names it: "ollama.service"
  std::string container{};  // the whole id (64 digits) that Docker, Podman, containerd or CRI-O gave it
  std::string slurm_job{};  // "4711"
  friend bool operator==(const CgroupNames&, const CgroupNames&) = default;
};

// `text` has one line for each hierarchy: "0::/system.slice/ollama.service". Of containers within containers
// the innermost counts. A unit inside a container is the container's own affair; user@UID.service is no
// application's.
CgroupNames parse_cgroup(std::string_view text);

}  // namespace mgpu::gpu
