// Who holds memory of which AMD or Intel device: all processes' clients of graphics drivers, and kfd's list.
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
  std::vector<int> unreadable_pids{};  // processes of others: we may not look whether they have clients
};

// Walks through the open files of every process: some milliseconds. Each client is counted once, with the
// first process that has it.
DrmUsage read_drm_usage(const std::string& proc);

// The PCI address of each device that kfd knows, by kfd's number for it.
std::map<std::string, std::uint64_t> read_kfd_ids(const std::string& sys);

// By pid, the bytes of the device with kfd's number `device`.
std::map<int, Bytes> read_kfd_usage(const std::string& sys, std::uint64_t kfd_id);

}  // namespace mgpu::gpu
