// What each NVML function of the simulated GPU begins with: is the library initialized, the state file
// usable, the handle valid, the device there. Thread-safe; only for the library that replaces the driver's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gpu/nvml_abi.h"

#include "simgpu/state_file.h"

#define MGPU_NVML extern "C" __attribute__((visibility("default")))

namespace mgpu::simgpu {

namespace nvml = gpu::nvml;

// A device handle is the index plus one. A handle stays valid when the state file is replaced, since each
// call opens the file.
inline nvml::Device to_handle(unsigned index) {
  return reinterpret_cast<nvml::Device>(static_cast<std::uintptr_t>(index) + 1);
}
inline unsigned to_index(nvml::Device handle) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(handle) - 1);
}

// Initializations that were not shut down again, as the driver's library counts them.
void count_initialization();
bool count_shutdown();  // false: nothing was initialized
bool is_initialized();

// Fault `hang`: returns when the fault of the device is removed. The file is not locked meanwhile.
void wait_while_hung(nvml::Device handle);

// The device or, for a slice, the whole device is lost.
bool is_lost(const LockedState& state, const Device& device);

// Copies `text` and a terminating zero. INVALID_ARGUMENT without a target, INSUFFICIENT_SIZE (nothing is
// copied) if `length` is too small.
nvml::Return copy_text(std::string_view text, char* into, std::size_t length);

// callback(state), or UNINITIALIZED before init and after the last shutdown, DRIVER_NOT_LOADED without a
// usable state file.
template <class Callback>
nvml::Return with_state(Callback callback) {
  if (!is_initialized()) return nvml::kUninitialized;
  const auto state = LockedState::open(path_from_environment());
  return state ? callback(*state) : nvml::kDriverNotLoaded;
}

// callback(device) for a valid handle, also of a lost device. `target`, where the result goes, must not be
// null.
template <class Callback>
nvml::Return with_handle(nvml::Device handle, const void* target, Callback callback) {
  if (!is_initialized()) return nvml::kUninitialized;
  if (!handle || !target) return nvml::kInvalidArgument;
  return with_state([&](const LockedState& state) {
    const Device* device = state.device(to_index(handle));
    return device ? callback(state, *device) : nvml::kInvalidArgument;
  });
}

// The same for what only a working device can answer: waits while it hangs; GPU_IS_LOST if it is lost.
template <class Callback>
nvml::Return with_device(nvml::Device handle, const void* target, Callback callback) {
  if (handle && is_initialized()) wait_while_hung(handle);
  return with_handle(handle, target, [&](const LockedState& state, const Device& device) {
    return is_lost(state, device) ? nvml::kGpuIsLost : callback(device);
  });
}

}  // namespace mgpu::simgpu
