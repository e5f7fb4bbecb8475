#include "simgpu/nvml_call.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace mgpu::simgpu {
namespace {

std::atomic<unsigned> initializations{0};

}  // namespace

void count_initialization() { ++initializations; }

bool count_shutdown() {
  unsigned count = initializations;
  while (count > 0 && !initializations.compare_exchange_weak(count, count - 1)) {
  }
  return count > 0;
}

bool is_initialized() { return initializations > 0; }

void wait_while_hung(nvml::Device handle) {
  bool counted = false;
  const auto update_hanging = [&](const LockedState& state) {
    Device* device = state.device(to_index(handle));
    const bool now = device && device->faults.hang;
    if (device && now != counted) device->hanging += now ? 1U : -1U;
    counted = now;
    return now ? nvml::kNotFound : nvml::kSuccess;
  };
  while (with_state(update_hanging) == nvml::kNotFound)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

bool is_lost(const LockedState& state, const Device& device) {
  return device.faults.lost || (device.slice_of > 0 && state.device(device.slice_of - 1)->faults.lost);
}

nvml::Return copy_text(std::string_view text, char* into, std::size_t length) {
  if (!into) return nvml::kInvalidArgument;
  if (length <= text.size()) return nvml::kInsufficientSize;
  std::memcpy(into, text.data(), text.size());
  into[text.size()] = '\0';
  return nvml::kSuccess;
}

}  // namespace mgpu::simgpu
