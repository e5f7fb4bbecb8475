// Memory of AMD and Intel devices by process: from the fdinfo of all processes' driver clients, and from kfd.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace mgpu::gpu {

struct DrmProcessUsage {
  Bytes device{};
  Bytes host{};
};

struct DrmUsage {
  std::map<std::string, std::map<int, DrmProcessUsage>> by_device{};  // by PCI address and pid
  std::vector<int> unreadable_pids{};  // processes of other users whose open files may not be listed
};

// Scans the open files of all processes, which takes some milliseconds. A client that several processes share
// is counted once, for the process with the lowest pid.
DrmUsage read_drm_usage(const std::string& proc);

// The kfd id of each device that kfd knows, by PCI address.
std::map<std::string, std::uint64_t> read_kfd_ids(const std::string& sys);

// The bytes of each process on the device with this kfd id, by pid.
std::map<int, Bytes> read_kfd_usage(const std::string& sys, std::uint64_t kfd_id);

}  // namespace mgpu::gpu
