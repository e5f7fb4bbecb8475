// NVML's functions of one device: how it is found, what it is, its memory, its processes, its sensors.
#include <algorithm>
#include <cstdio>

#include "simgpu/nvml_call.h"

namespace {

namespace nvml = mgpu::gpu::nvml;
namespace simgpu = mgpu::simgpu;
using nvml::Return;
using simgpu::LockedState;
using simgpu::with_device;
using simgpu::with_handle;
using simgpu::with_state;

constexpr unsigned kPowerLimitMilliwatts = 120'000;
constexpr std::uint64_t kBar1Bytes = 256U << 20U;  // the window through which the CPU sees device memory

// The handle of the first device for which matches(device, index); `otherwise` if there is none.
template <class Matches>
Return find_device(nvml::Device* handle, Return otherwise, Matches matches) {
  return with_state([&](const LockedState& state) {
    for (unsigned index = 0; const simgpu::Device* device = state.device(index); ++index) {
      if (!matches(*device, index)) continue;
      *handle = simgpu::to_handle(index);
      return nvml::kSuccess;
    }
    return otherwise;
  });
}

// A whole device is on the PCI bus that has its index plus one as its number.
nvml::PciInfo pci_info(unsigned index) {
  nvml::PciInfo info{.bus = index + 1, .pci_device_id = 0x000010DE};  // the vendor's id alone
  std::snprintf(info.bus_id_legacy.data(), info.bus_id_legacy.size(), "0000:%02X:00.0", info.bus);
  std::snprintf(info.bus_id.data(), info.bus_id.size(), "00000000:%02X:00.0", info.bus);
  return info;
}

// The whole device that a handle belongs to: itself, or the device of which it is a slice.
unsigned whole_index(const simgpu::Device& device, nvml::Device handle) {
  return device.slice_of > 0 ? device.slice_of - 1 : simgpu::to_index(handle);
}

unsigned percent_used(const simgpu::Device& device) {
  return static_cast<unsigned>(100.0 * static_cast<double>(reported_used_bytes(device)) /
                               static_cast<double>(device.total));
}

void fill(nvml::ProcessInfoV1& into, const simgpu::Device&, std::uint32_t pid, std::uint64_t bytes) {
  into = {.pid = pid, .used_gpu_memory = bytes};
}

void fill(nvml::ProcessInfo& into, const simgpu::Device& device, std::uint32_t pid, std::uint64_t bytes) {
  const std::uint32_t instance = device.slice_of > 0 ? device.mig_slot : nvml::kNoInstance;
  into = {.pid = pid,
          .used_gpu_memory = bytes,
          .gpu_instance_id = instance,
          .compute_instance_id = device.slice_of > 0 ? 0 : nvml::kNoInstance};
}

// Like the driver: `count` is set to the number of processes even if they don't fit.
template <class ProcessInfo>
Return list_processes(const simgpu::Device& device, unsigned* count, ProcessInfo* into) {
  if (device.faults.list == simgpu::ProcessListFault::none) return nvml::kNotSupported;
  const unsigned room = into ? *count : 0;
  unsigned found = 0;
  for (const simgpu::Holder& holder : device.holders) {
    if (holder.bytes == 0 || device.faults.list == simgpu::ProcessListFault::empty) continue;
    if (holder.checkpoint_state == simgpu::CheckpointState::checkpointed) continue;
    if (found < room)
      fill(into[found], device, static_cast<std::uint32_t>(holder.pid),
           device.faults.hide_processes ? nvml::kValueNotAvailable : holder.bytes);
    ++found;
  }
  *count = found;
  return found > room ? nvml::kInsufficientSize : nvml::kSuccess;
}

template <class ProcessInfo>
Return list_compute_processes(nvml::Device handle, unsigned* count, ProcessInfo* into) {
  return with_device(handle, count,
                     [&](const simgpu::Device& device) { return list_processes(device, count, into); });
}

// A simulated GPU computes for processes, but has no graphics and no MPS server.
Return list_no_processes(nvml::Device handle, unsigned* count) {
  return with_device(handle, count, [&](const simgpu::Device&) {
    *count = 0;
    return nvml::kSuccess;
  });
}

Return read_number(nvml::Device handle, unsigned* into, unsigned number) {
  return with_device(handle, into, [&](const simgpu::Device&) {
    *into = number;
    return nvml::kSuccess;
  });
}

}  // namespace

MGPU_NVML Return nvmlDeviceGetCount_v2(unsigned* count) {
  return with_state([&](const LockedState& state) {
    if (!count) return nvml::kInvalidArgument;
    *count = whole_device_count(*state);
    return nvml::kSuccess;
  });
}
MGPU_NVML Return nvmlDeviceGetCount(unsigned* count) { return nvmlDeviceGetCount_v2(count); }

MGPU_NVML Return nvmlDeviceGetHandleByIndex_v2(unsigned wanted, nvml::Device* handle) {
  if (!handle) return simgpu::is_initialized() ? nvml::kInvalidArgument : nvml::kUninitialized;
  return find_device(handle, nvml::kInvalidArgument, [&](const simgpu::Device& device, unsigned index) {
    return device.slice_of == 0 && index == wanted;
  });
}
MGPU_NVML Return nvmlDeviceGetHandleByIndex(unsigned index, nvml::Device* handle) {
  return nvmlDeviceGetHandleByIndex_v2(index, handle);
}

MGPU_NVML Return nvmlDeviceGetHandleByUUID(const char* uuid, nvml::Device* handle) {
  if (!uuid || !handle) return simgpu::is_initialized() ? nvml::kInvalidArgument : nvml::kUninitialized;
  return find_device(handle, nvml::kNotFound, [&](const simgpu::Device& device, unsigned) {
    return std::string_view(device.uuid.data()) == uuid;
  });
}

MGPU_NVML Return nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, nvml::Device* handle) {
  if (!bus_id || !handle) return simgpu::is_initialized() ? nvml::kInvalidArgument : nvml::kUninitialized;
  return find_device(handle, nvml::kNotFound, [&](const simgpu::Device& device, unsigned index) {
    const nvml::PciInfo info = pci_info(index);
    return device.slice_of == 0 && (info.bus_id.data() == std::string_view(bus_id) ||
                                    info.bus_id_legacy.data() == std::string_view(bus_id));
  });
}
MGPU_NVML Return nvmlDeviceGetHandleByPciBusId(const char* bus_id, nvml::Device* handle) {
  return nvmlDeviceGetHandleByPciBusId_v2(bus_id, handle);
}

MGPU_NVML Return nvmlDeviceGetIndex(nvml::Device handle, unsigned* index) {
  return read_number(handle, index, simgpu::to_index(handle));
}
MGPU_NVML Return nvmlDeviceGetMinorNumber(nvml::Device handle, unsigned* number) {
  return with_device(handle, number, [&](const simgpu::Device& device) {
    *number = whole_index(device, handle);
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetName(nvml::Device handle, char* name, unsigned length) {
  return with_device(handle, name, [&](const simgpu::Device& device) {
    return simgpu::copy_text(device.name.data(), name, length);
  });
}

MGPU_NVML Return nvmlDeviceGetUUID(nvml::Device handle, char* uuid, unsigned length) {
  return with_device(handle, uuid, [&](const simgpu::Device& device) {
    return simgpu::copy_text(device.uuid.data(), uuid, length);
  });
}

MGPU_NVML Return nvmlDeviceGetPciInfo_v3(nvml::Device handle, nvml::PciInfo* info) {
  return with_device(handle, info, [&](const simgpu::Device& device) {
    *info = pci_info(whole_index(device, handle));
    return nvml::kSuccess;
  });
}
MGPU_NVML Return nvmlDeviceGetPciInfo_v2(nvml::Device handle, nvml::PciInfo* info) {
  return nvmlDeviceGetPciInfo_v3(handle, info);
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

// Every driver answers this, so clients (nvitop) count on it. The driver's struct has the fields of Memory.
MGPU_NVML Return nvmlDeviceGetBAR1MemoryInfo(nvml::Device handle, nvml::Memory* window) {
  return with_device(handle, window, [&](const simgpu::Device&) {
    *window = {.total = kBar1Bytes, .free = kBar1Bytes, .used = 0};
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetComputeRunningProcesses_v3(nvml::Device handle, unsigned* count,
                                                         nvml::ProcessInfo* processes) {
  return list_compute_processes(handle, count, processes);
}
MGPU_NVML Return nvmlDeviceGetComputeRunningProcesses_v2(nvml::Device handle, unsigned* count,
                                                         nvml::ProcessInfo* processes) {
  return list_compute_processes(handle, count, processes);
}
MGPU_NVML Return nvmlDeviceGetComputeRunningProcesses(nvml::Device handle, unsigned* count,
                                                      nvml::ProcessInfoV1* processes) {
  return list_compute_processes(handle, count, processes);
}

MGPU_NVML Return nvmlDeviceGetGraphicsRunningProcesses_v3(nvml::Device handle, unsigned* count, void*) {
  return list_no_processes(handle, count);
}
MGPU_NVML Return nvmlDeviceGetGraphicsRunningProcesses_v2(nvml::Device handle, unsigned* count, void*) {
  return list_no_processes(handle, count);
}
MGPU_NVML Return nvmlDeviceGetGraphicsRunningProcesses(nvml::Device handle, unsigned* count, void*) {
  return list_no_processes(handle, count);
}
MGPU_NVML Return nvmlDeviceGetMPSComputeRunningProcesses_v3(nvml::Device handle, unsigned* count, void*) {
  return list_no_processes(handle, count);
}
MGPU_NVML Return nvmlDeviceGetMPSComputeRunningProcesses_v2(nvml::Device handle, unsigned* count, void*) {
  return list_no_processes(handle, count);
}
MGPU_NVML Return nvmlDeviceGetMPSComputeRunningProcesses(nvml::Device handle, unsigned* count, void*) {
  return list_no_processes(handle, count);
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
  return with_device(handle, celsius, [&](const simgpu::Device& device) {
    if (sensor != nvml::kTemperatureGpu) return nvml::kInvalidArgument;
    *celsius = 35 + percent_used(device) / 4;
    return nvml::kSuccess;
  });
}
MGPU_NVML Return nvmlDeviceGetTemperatureV(nvml::Device handle, nvml::TemperatureV1* temperature) {
  if (temperature && temperature->version != nvml::kTemperatureV1) return nvml::kArgumentVersionMismatch;
  unsigned celsius = 0;
  const Return code = nvmlDeviceGetTemperature(handle, temperature ? temperature->sensor : 0,
                                               temperature ? &celsius : nullptr);
  if (code == nvml::kSuccess) temperature->celsius = static_cast<std::int32_t>(celsius);
  return code;
}

MGPU_NVML Return nvmlDeviceGetPowerUsage(nvml::Device handle, unsigned* milliwatts) {
  return with_device(handle, milliwatts, [&](const simgpu::Device& device) {
    *milliwatts = 20'000 + percent_used(device) * 1'000;
    return nvml::kSuccess;
  });
}
MGPU_NVML Return nvmlDeviceGetPowerManagementLimit(nvml::Device handle, unsigned* milliwatts) {
  return read_number(handle, milliwatts, kPowerLimitMilliwatts);
}
MGPU_NVML Return nvmlDeviceGetEnforcedPowerLimit(nvml::Device handle, unsigned* milliwatts) {
  return read_number(handle, milliwatts, kPowerLimitMilliwatts);
}

MGPU_NVML Return nvmlDeviceGetMigMode(nvml::Device handle, unsigned* now, unsigned* after_reboot) {
  return with_device(handle, now && after_reboot ? now : nullptr, [&](const simgpu::Device& device) {
    *now = *after_reboot = device.slices > 0 ? nvml::kMigOn : 0;
    return nvml::kSuccess;
  });
}

// Like the driver: the greatest possible number of slices, not the actual one.
MGPU_NVML Return nvmlDeviceGetMaxMigDeviceCount(nvml::Device handle, unsigned* count) {
  return read_number(handle, count, simgpu::kMaxDevices);
}

MGPU_NVML Return nvmlDeviceGetMigDeviceHandleByIndex(nvml::Device whole, unsigned slot,
                                                     nvml::Device* handle) {
  if (!whole || !handle) return simgpu::is_initialized() ? nvml::kInvalidArgument : nvml::kUninitialized;
  return find_device(handle, nvml::kNotFound, [&](const simgpu::Device& device, unsigned) {
    return device.slice_of == simgpu::to_index(whole) + 1 && device.mig_slot == slot;
  });
}

MGPU_NVML Return nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml::Device slice, nvml::Device* whole) {
  return with_handle(slice, whole, [&](const LockedState&, const simgpu::Device& device) {
    if (device.slice_of == 0) return nvml::kInvalidArgument;
    *whole = simgpu::to_handle(device.slice_of - 1);
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceIsMigDeviceHandle(nvml::Device handle, unsigned* is_slice) {
  return with_handle(handle, is_slice, [&](const LockedState&, const simgpu::Device& device) {
    *is_slice = device.slice_of > 0 ? 1 : 0;
    return nvml::kSuccess;
  });
}

MGPU_NVML Return nvmlDeviceGetGpuInstanceId(nvml::Device slice, unsigned* id) {
  return with_handle(slice, id, [&](const LockedState&, const simgpu::Device& device) {
    if (device.slice_of == 0) return nvml::kNotSupported;
    *id = device.mig_slot;
    return nvml::kSuccess;
  });
}
MGPU_NVML Return nvmlDeviceGetComputeInstanceId(nvml::Device slice, unsigned* id) {
  return with_handle(slice, id, [&](const LockedState&, const simgpu::Device& device) {
    if (device.slice_of == 0) return nvml::kNotSupported;
    *id = 0;
    return nvml::kSuccess;
  });
}
