// Implements include/mgpu/simgpu.h: opens the state file, applies one function of simgpu/state.h, closes it.
#include <chrono>
#include <thread>

#include "mgpu/simgpu.h"
#include "simgpu/state_file.h"

#define MGPU_EXPORT __attribute__((visibility("default")))

namespace {

// A process locked by cuda-checkpoint waits in its call until it is unlocked. The file is not locked while it
// waits.
constexpr std::chrono::milliseconds kRetryInterval{5};

template <class Operation>
int try_on_device(unsigned index, Operation operation) {
  const auto state = mgpu::simgpu::LockedState::open(mgpu::simgpu::path_from_environment());
  if (!state) return MGPU_SIMGPU_NOT_INITIALIZED;
  mgpu::simgpu::Device* device = state->device(index);
  return device ? operation(*device) : static_cast<int>(MGPU_SIMGPU_INVALID_DEVICE);
}

template <class Operation>
int run_on_device(unsigned index, Operation operation) {
  int code = try_on_device(index, operation);
  for (; code == MGPU_SIMGPU_NOT_READY; code = try_on_device(index, operation))
    std::this_thread::sleep_for(kRetryInterval);
  return code;
}

}  // namespace

extern "C" MGPU_EXPORT int mgpu_simgpu_alloc(unsigned index, uint64_t bytes) {
  return run_on_device(index,
                       [&](auto& device) { return allocate(device, mgpu::simgpu::this_process(), bytes); });
}

extern "C" MGPU_EXPORT int mgpu_simgpu_free(unsigned index, uint64_t bytes) {
  return run_on_device(index, [&](auto& device) {
    return deallocate(device, mgpu::simgpu::this_process(), bytes, mgpu::simgpu::now_ns());
  });
}
