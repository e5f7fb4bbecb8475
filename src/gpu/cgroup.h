// Parses /proc/PID/cgroup: the unit, container and batch job that a process runs in. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mgpu::gpu {

// Empty: none.
struct CgroupNames {
  std::string unit{};       // name of the host's systemd unit: "ollama.service"
  std::string container{};  // full id (64 digits) from Docker, Podman, containerd or CRI-O
  std::string slurm_job{};  // "4711"
  friend bool operator==(const CgroupNames&, const CgroupNames&) = default;
};

// `text` has one line for each hierarchy: "0::/system.slice/ollama.service". Of nested containers the
// innermost counts. A unit inside a container is ignored, as is user@UID.service, the user's systemd itself.
CgroupNames parse_cgroup(std::string_view text);

}  // namespace mgpu::gpu
