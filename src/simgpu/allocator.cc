// The allocator that services and tests call: a look at the file, one rule of simgpu/state.h, done.
#include <chrono>
#include <thread>

#include "mgpu/simgpu.h"
#include "simgpu/file.h"

#define MGPU_EXPORT __attribute__((visibility("default")))

namespace {

// A process that cuda-checkpoint has locked hangs in its call until it is unlocked; the lock on the file is
// not held meanwhile.
constexpr std::chrono::milliseconds kLookAgain{5};

template <class Rule>
int on_device_now(unsigned index, Rule rule) {
  const auto state = mgpu::simgpu::Locked::open(mgpu::simgpu::path_from_environment());
  if (!state) return MGPU_SIMGPU_NOT_INITIALIZED;
  mgpu::simgpu::Device* device = state->device(index);
  return device ? rule(*device) : static_cast<int>(MGPU_SIMGPU_INVALID_DEVICE);
}

template <class Rule>
int on_device(unsigned index, Rule rule) {
  int code = on_device_now(index, rule);
  for (; code == MGPU_SIMGPU_NOT_READY; code = on_device_now(index, rule))
    std::this_thread::sleep_for(kLookAgain);
  return code;
}

}  // namespace

extern "C" MGPU_EXPORT int mgpu_simgpu_alloc(unsigned index, uint64_t bytes) {
  return on_device(index, [&](auto& device) { return take(device, mgpu::simgpu::this_process(), bytes); });
}

extern "C" MGPU_EXPORT int mgpu_simgpu_free(unsigned index, uint64_t bytes) {
  return on_device(index, [&](auto& device) {
    return give_back(device, mgpu::simgpu::this_process(), bytes, mgpu::simgpu::now_ns());
  });
}
