// libmgpu-fake-cuda.so: replaces the CUDA driver's library (libcuda.so.1) by functions that use memory of the
// simulated GPU (env MGPU_SIMGPU). It has the functions that this project calls, and is loaded through
// MGPU_CUDA_LIBRARY. Faults: tests/fakes/fake_checkpoint.h.
//
// As with the real driver: nothing works before cuInit; a context takes memory of its own; the calls of a
// process that is locked or checkpointed wait. Of each allocation only one 32-bit word is kept, as if all its
// words were equal.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gpu/cuda_abi.h"

#include "simgpu/state_file.h"
#include "tests/fakes/fake_checkpoint.h"

#define MGPU_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

namespace cuda = mgpu::gpu::cuda;
namespace simgpu = mgpu::simgpu;
using cuda::Return;
using simgpu::CheckpointState;
using simgpu::LockedState;

constexpr std::uint64_t kContextBytes = 300ULL << 20;
constexpr cuda::DevicePointer kFirstPointer = 0x7f0000000000;
constexpr std::chrono::milliseconds kRetryInterval{5};

struct Allocation {
  unsigned device = 0;
  std::uint64_t bytes = 0;
  std::uint32_t word = 0;
};

std::mutex mutex;  // guards the variables below
bool is_initialized = false;
std::map<unsigned, int> context_users;  // by device
unsigned current_device = 0;
std::map<cuda::DevicePointer, Allocation> allocations;
cuda::DevicePointer next_pointer = kFirstPointer;

// The state's indices of the devices that CUDA_VISIBLE_DEVICES (UUIDs or numbers) leaves visible, in its
// order.
std::vector<unsigned> visible_devices() {
  const auto state = LockedState::open(simgpu::path_from_environment());
  std::vector<unsigned> devices;
  if (!state) return devices;
  const unsigned count = whole_device_count(**state);
  const char* wanted = std::getenv("CUDA_VISIBLE_DEVICES");
  if (wanted == nullptr) {
    for (unsigned index = 0; index < count; ++index) devices.push_back(index);
    return devices;
  }
  std::string list = wanted;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    for (unsigned index = 0; index < count; ++index)
      if (name == std::to_string(index) || name == state->device(index)->uuid.data())
        devices.push_back(index);
    at = end + 1;
  }
  return devices;
}

// Repeats the operation while this process is locked.
template <class Operation>
Return on_device(unsigned index, Operation operation) {
  while (true) {
    {
      const auto state = LockedState::open(simgpu::path_from_environment());
      if (!state) return cuda::kNoDevice;
      simgpu::Device* device = state->device(index);
      if (device == nullptr) return cuda::kInvalidDevice;
      if (const Return code = operation(*device); code != cuda::kNotReady) return code;
    }
    std::this_thread::sleep_for(kRetryInterval);
  }
}

Return take(unsigned index, std::uint64_t bytes) {
  return on_device(index, [&](auto& device) { return allocate(device, simgpu::this_process(), bytes); });
}

Return give_back(unsigned index, std::uint64_t bytes) {
  return on_device(index, [&](auto& device) {
    return deallocate(device, simgpu::this_process(), bytes, simgpu::now_ns());
  });
}

void wait_while_locked() {
  while (mgpu::fakes::read_checkpoint_state(simgpu::this_process().pid).value_or(CheckpointState::running) !=
         CheckpointState::running)
    std::this_thread::sleep_for(kRetryInterval);
}

// The allocation that contains the range; null: none does.
Allocation* find_allocation(cuda::DevicePointer pointer, std::uint64_t bytes) {
  auto found = allocations.upper_bound(pointer);
  if (found == allocations.begin()) return nullptr;
  --found;
  return pointer + bytes <= found->first + found->second.bytes ? &found->second : nullptr;
}

Return checked_pid_action(const char* action, int pid) {
  return is_initialized ? mgpu::fakes::run_checkpoint_action(action, pid) : cuda::kNotInitialized;
}

}  // namespace

MGPU_EXPORT Return cuInit(unsigned) {
  if (mgpu::fakes::has_checkpoint_fault("init-fails")) return cuda::kUnknown;
  is_initialized = true;
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuGetErrorString(Return code, const char** text) {
  switch (code) {
    case cuda::kOutOfMemory:
      *text = "out of memory";
      break;
    case cuda::kNotReady:
      *text = "device not ready";
      break;
    case cuda::kNotSupported:
      *text = "operation not supported";
      break;
    case cuda::kOperatingSystem:
      *text = "OS call failed or operation not supported on this OS";
      break;
    default:
      *text = "some error";
  }
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuDriverGetVersion(int* version) { return *version = 12080, cuda::kSuccess; }

MGPU_EXPORT Return cuDeviceGetCount(int* count) {
  if (!is_initialized) return cuda::kNotInitialized;
  *count = static_cast<int>(visible_devices().size());
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuDeviceGet(cuda::Device* device, int ordinal) {
  if (!is_initialized) return cuda::kNotInitialized;
  const auto visible = visible_devices();
  if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= visible.size()) return cuda::kInvalidDevice;
  *device = static_cast<int>(visible[static_cast<std::size_t>(ordinal)]);
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuDeviceGetName(char* name, int size, cuda::Device index) {
  return on_device(static_cast<unsigned>(index), [&](auto& device) {
    std::strncpy(name, device.name.data(), static_cast<std::size_t>(size));
    return cuda::kSuccess;
  });
}

// The hexadecimal digits of the NVML UUID, as with the real driver.
MGPU_EXPORT Return cuDeviceGetUuid_v2(unsigned char* uuid, cuda::Device index) {
  return on_device(static_cast<unsigned>(index), [&](auto& device) {
    std::string digits;
    for (const char c : std::string(device.uuid.data()).substr(4))
      if (c != '-') digits += c;
    digits.resize(32, '0');
    for (std::size_t i = 0; i < 16; ++i)
      uuid[i] = static_cast<unsigned char>(std::strtoul(digits.substr(2 * i, 2).c_str(), nullptr, 16));
    return cuda::kSuccess;
  });
}

MGPU_EXPORT Return cuDevicePrimaryCtxRetain(cuda::Context* context, cuda::Device device) {
  if (!is_initialized) return cuda::kNotInitialized;
  const std::lock_guard lock(mutex);
  const auto index = static_cast<unsigned>(device);
  if (context_users[index] == 0)
    if (const Return code = take(index, kContextBytes); code != cuda::kSuccess) return code;
  ++context_users[index];
  *context = reinterpret_cast<cuda::Context>(static_cast<std::uintptr_t>(index) + 1);
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuCtxSetCurrent(cuda::Context context) {
  const std::lock_guard lock(mutex);
  current_device = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(context) - 1);
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuCtxSynchronize() {
  wait_while_locked();
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  wait_while_locked();
  return on_device(current_device, [&](auto& device) {
    *total = device.total;
    *free = device.total - device.reserved - used_bytes(device);
    return cuda::kSuccess;
  });
}

MGPU_EXPORT Return cuMemAlloc_v2(cuda::DevicePointer* pointer, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  if (context_users.empty()) return cuda::kNotInitialized;
  if (const Return code = take(current_device, bytes); code != cuda::kSuccess) return code;
  *pointer = next_pointer;
  allocations[next_pointer] = {.device = current_device, .bytes = bytes};
  next_pointer += bytes + 4096;
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuMemFree_v2(cuda::DevicePointer pointer) {
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return cuda::kInvalidValue;
  const Return code = give_back(found->second.device, found->second.bytes);
  allocations.erase(found);
  return code;
}

MGPU_EXPORT Return cuMemsetD32_v2(cuda::DevicePointer pointer, std::uint32_t word, std::size_t words) {
  wait_while_locked();
  const std::lock_guard lock(mutex);
  Allocation* allocation = find_allocation(pointer, 4 * words);
  if (allocation == nullptr) return cuda::kInvalidValue;
  allocation->word = word;
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuMemcpyHtoD_v2(cuda::DevicePointer to, const void* from, std::size_t bytes) {
  wait_while_locked();
  const std::lock_guard lock(mutex);
  Allocation* allocation = find_allocation(to, bytes);
  if (allocation == nullptr || bytes < 4) return cuda::kInvalidValue;
  std::memcpy(&allocation->word, from, 4);
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuMemcpyDtoH_v2(void* to, cuda::DevicePointer from, std::size_t bytes) {
  wait_while_locked();
  const std::lock_guard lock(mutex);
  const Allocation* allocation = find_allocation(from, bytes);
  if (allocation == nullptr) return cuda::kInvalidValue;
  for (std::size_t at = 0; at + 4 <= bytes; at += 4)
    std::memcpy(static_cast<char*>(to) + at, &allocation->word, 4);
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuMemAllocHost_v2(void** pointer, std::size_t bytes) {
  *pointer = std::malloc(bytes);
  return *pointer != nullptr ? cuda::kSuccess : cuda::kOutOfMemory;
}

MGPU_EXPORT Return cuMemFreeHost(void* pointer) {
  std::free(pointer);
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuCheckpointProcessGetState(int pid, std::uint32_t* state) {
  if (!is_initialized) return cuda::kNotInitialized;
  const auto found = mgpu::fakes::read_checkpoint_state(pid);
  if (!found) return cuda::kInvalidValue;
  *state = static_cast<std::uint32_t>(*found);  // the driver's numbers
  return cuda::kSuccess;
}

MGPU_EXPORT Return cuCheckpointProcessLock(int pid, const cuda::CheckpointLockArgs*) {
  return checked_pid_action("lock", pid);
}

MGPU_EXPORT Return cuCheckpointProcessCheckpoint(int pid, const cuda::CheckpointArgs*) {
  return checked_pid_action("checkpoint", pid);
}

MGPU_EXPORT Return cuCheckpointProcessRestore(int pid, const cuda::CheckpointArgs*) {
  return checked_pid_action("restore", pid);
}

MGPU_EXPORT Return cuCheckpointProcessUnlock(int pid, const cuda::CheckpointArgs*) {
  return checked_pid_action("unlock", pid);
}
