// The functions of libnvidia-ml.so.1 for the simulated GPU. A device handle is the index plus one. Each call
// opens the state file, so a handle stays valid when the file is replaced.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include "gpu/nvml_abi.h"

#include "simgpu/state_file.h"

#define MGPU_NVML extern "C" __attribute__((visibility("default")))

namespace {

namespace nvml = mgpu::gpu::nvml;
namespace simgpu = mgpu::simgpu;
using nvml::Return;

constexpr std::uintptr_t kFirstHandle = 1;

nvml::Device to_handle(unsigned index) {
  return reinterpret_cast<nvml::Device>(static_cast<std::uintptr_t>(index) + kFirstHandle);
}

unsigned to_index(nvml::Device handle) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(handle) - kFirstHandle);
}

template <class Callback>
Return with_state(Callback callback) {
  const auto state = simgpu::LockedState::open(simgpu::path_from_environment());
  return state ? callback(*state) : nvml::kDriverNotLoaded;
}

// Fault `hang`: the call blocks until the fault is removed. The file is not locked while it blocks.
void wait_while_hung(nvml::Device handle) {
  bool counted = false;
  const auto update_hanging = [&](const simgpu::LockedState& state) {
    simgpu::Device* device = state.device(to_index(handle));
    const bool now = device && device->faults.hang;
    if (device && now != counted) device->hanging += now ? 1U : -1U;
    counted = now;
    return now ? nvml::kNotFound : nvml::kSuccess;
  };
  while (with_state(update_hanging) == nvml::kNotFound)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// Calls `callback(device)`, unless the handle or `target` is invalid or the device is lost.
template <class Callback>
Return with_device(nvml::Device handle, const void* target, Callback callback) {
  if (!handle || !target) return nvml::kInvalidArgument;
  wait_while_hung(handle);
  return with_state([&](const simgpu::LockedState& state) {
    const simgpu::Device* device = state.device(to_index(handle));
    if (!device) return nvml::kInvalidArgument;
    const bool whole_lost = device->slice_of > 0 && state.device(device->slice_of - 1)->faults.lost;
    return device->faults.lost || whole_lost ? nvml::kGpuIsLost : callback(*device);
  });
}

Return copy_text(std::string_view text, char* into, unsigned length) {
  if (length <= text.size()) return nvml::kInsufficientSize;
  std::memcpy(into, text.data(), text.size());
  into[text.size()] = '\0';
  return nvml::kSuccess;
}

unsigned percent_used(const simgpu::Device& device) {
  return static_cast<unsigned>(100.0 * static_cast<double>(reported_used_bytes(device)) /
                               static_cast<double>(device.total));
}

// Like the driver: `count` is set to the number of processes even if they don't fit.
Return list_processes(const simgpu::Device& device, unsigned* count, nvml::ProcessInfo* into) {
  if (device.faults.list == simgpu::ProcessListFault::none) return nvml::kNotSupported;
  const unsigned room = into ? *count : 0;
  unsigned found = 0;
  for (const simgpu::Holder& holder : device.holders) {
    if (holder.bytes == 0 || device.faults.list == simgpu::ProcessListFault::empty) continue;
    if (holder.checkpoint_state == simgpu::CheckpointState::checkpointed) continue;
    if (found < room) {
      into[found] = {
          .pid = static_cast<std::uint32_t>(holder.pid),
          .used_gpu_memory = device.faults.hide_processes ? nvml::kValueNotAvailable : holder.bytes};
    }
    ++found;
  }
  *count = found;
  return found > room ? nvml::kInsufficientSize : nvml::kSuccess;
}

}  // namespace

MGPU_NVML Return nvmlInit_v2() {
  return with_state([](const auto&) { return nvml::kSuccess; });
}

MGPU_NVML Return nvmlShutdown() { return nvml::kSuccess; }

MGPU_NVML const char* nvmlErrorString(Return code) {
  switch (code) {
    case nvml::kSuccess:
      return "Success";
    case nvml::kInvalidArgument:
      return "Invalid Argument";
    case nvml::kNotSupported:
      return "Not Supported";
    case nvml::kNotFound:
      return "Not Found";
    case nvml::kInsufficientSize:
      return "Insufficient Size";
    case nvml::kDriverNotLoaded:
      return "Driver Not Loaded: env MGPU_SIMGPU must name a simulated GPU's file";
    case nvml::kGpuIsLost:
      return "GPU is lost";
    case nvml::kArgumentVersionMismatch:
      return "Argument version mismatch";
    default:
      return "Unknown Error";
  }
}

MGPU_NVML Return nvmlSystemGetDriverVersion(char* version, unsigned length) {
  return version ? copy_text("simulated", version, length) : nvml::kInvalidArgument;
}

MGPU_NVML Return nvmlDeviceGetCount_v2(unsigned* count) {
  if (!count) return nvml::kInvalidArgument;
  return with_state([&](const simgpu::LockedState& state) {
    *count = whole_device_count(*state);
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml::Device* handle) {
  if (!handle) return nvml::kInvalidArgument;
  return with_state([&](const simgpu::LockedState& state) {
    if (index >= whole_device_count(*state)) return nvml::kInvalidArgument;
    *handle = to_handle(index);
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetHandleByUUID(const char* uuid, nvml::Device* handle) {
  if (!uuid || !handle) return nvml::kInvalidArgument;
  return with_state([&](const simgpu::LockedState& state) {
    for (unsigned index = 0; const simgpu::Device* device = state.device(index); ++index) {
      if (std::string_view(device->uuid.data()) != uuid) continue;
      *handle = to_handle(index);
      return nvml::kSuccess;
    }
    return nvml::kNotFound;
  });
}

MGPU_NVML Return nvmlDeviceGetIndex(nvml::Device handle, unsigned* index) {
  return with_device(handle, index, [&](const simgpu::Device&) {
    *index = to_index(handle);
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetName(nvml::Device handle, char* name, unsigned length) {
  return with_device(handle, name,
                     [&](const auto& device) { return copy_text(device.name.data(), name, length); });
}

MGPU_NVML Return nvmlDeviceGetUUID(nvml::Device handle, char* uuid, unsigned length) {
  return with_device(handle, uuid,
                     [&](const auto& device) { return copy_text(device.uuid.data(), uuid, length); });
}

MGPU_NVML Return nvmlDeviceGetMemoryInfo(nvml::Device handle, nvml::Memory* memory) {
  return with_device(handle, memory, [&](const simgpu::Device& device) {
    const std::uint64_t taken = reported_used_bytes(device) + device.reserved;
    *memory = {.total = device.total, .free = device.total - taken, .used = taken};
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetMemoryInfo_v2(nvml::Device handle, nvml::MemoryV2* memory) {
  return with_device(handle, memory, [&](const simgpu::Device& device) {
    if (memory->version != nvml::kMemoryV2) return nvml::kArgumentVersionMismatch;
    memory->total = device.total;
    memory->reserved = device.reserved;
    memory->used = reported_used_bytes(device);
    memory->free = device.total - device.reserved - memory->used;
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetComputeRunningProcesses_v3(nvml::Device handle, unsigned* count,
                                                         nvml::ProcessInfo* processes) {
  return with_device(handle, count,
                     [&](const simgpu::Device& device) { return list_processes(device, count, processes); });
}

MGPU_NVML Return nvmlDeviceGetComputeRunningProcesses_v2(nvml::Device handle, unsigned* count,
                                                         nvml::ProcessInfo* processes) {
  return nvmlDeviceGetComputeRunningProcesses_v3(handle, count, processes);
}

// A simulated GPU has no graphics processes.
MGPU_NVML Return nvmlDeviceGetGraphicsRunningProcesses_v3(nvml::Device handle, unsigned* count,
                                                          nvml::ProcessInfo*) {
  return with_device(handle, count, [&](const simgpu::Device&) {
    *count = 0;
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetGraphicsRunningProcesses_v2(nvml::Device handle, unsigned* count,
                                                          nvml::ProcessInfo* processes) {
  return nvmlDeviceGetGraphicsRunningProcesses_v3(handle, count, processes);
}

MGPU_NVML Return nvmlDeviceGetMigMode(nvml::Device handle, unsigned* now, unsigned* after_reboot) {
  if (!after_reboot) return nvml::kInvalidArgument;
  return with_device(handle, now, [&](const simgpu::Device& device) {
    *now = *after_reboot = device.slices > 0 ? nvml::kMigOn : 0;
    return nvml::kSuccess;
  });
}

// Like the driver: the greatest possible number of slices, not the actual one.
MGPU_NVML Return nvmlDeviceGetMaxMigDeviceCount(nvml::Device handle, unsigned* count) {
  return with_device(handle, count, [&](const simgpu::Device&) {
    *count = simgpu::kMaxDevices;
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetMigDeviceHandleByIndex(nvml::Device whole, unsigned slot,
                                                     nvml::Device* handle) {
  if (!whole || !handle) return nvml::kInvalidArgument;
  return with_state([&](const simgpu::LockedState& state) {
    for (unsigned index = 0; const simgpu::Device* device = state.device(index); ++index) {
      if (device->slice_of != to_index(whole) + 1 || device->mig_slot != slot) continue;
      *handle = to_handle(index);
      return nvml::kSuccess;
    }
    return nvml::kNotFound;
  });
}

MGPU_NVML Return nvmlDeviceIsMigDeviceHandle(nvml::Device handle, unsigned* is_slice) {
  return with_device(handle, is_slice, [&](const simgpu::Device& device) {
    *is_slice = device.slice_of > 0 ? 1 : 0;
    return nvml::kSuccess;
  });
}

// Utilization, temperature and power are derived from the used memory, so that displays have changing values.
MGPU_NVML Return nvmlDeviceGetUtilizationRates(nvml::Device handle, nvml::Utilization* utilization) {
  return with_device(handle, utilization, [&](const simgpu::Device& device) {
    if (device.slice_of > 0) return nvml::kNotSupported;
    *utilization = {.gpu = percent_used(device), .memory = percent_used(device)};
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetTemperature(nvml::Device handle, int sensor, unsigned* celsius) {
  if (sensor != nvml::kTemperatureGpu) return nvml::kInvalidArgument;
  return with_device(handle, celsius, [&](const simgpu::Device& device) {
    *celsius = 35 + percent_used(device) / 4;
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetPowerUsage(nvml::Device handle, unsigned* milliwatts) {
  return with_device(handle, milliwatts, [&](const simgpu::Device& device) {
    *milliwatts = 20'000 + percent_used(device) * 1'000;
    return nvml::kSuccess;
  });
}
