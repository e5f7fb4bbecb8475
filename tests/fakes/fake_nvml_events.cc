// libmgpu-fake-nvml.so: the simulated GPU's NVML library (which this one needs, and whose functions dlsym
// finds through it) with the functions for device events, which the simulation lacks. With MGPU_FAKE_XID=N an
// Xid event of that number arrives at the first wait, otherwise none.
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include "gpu/nvml_abi.h"

#define MGPU_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

namespace nvml = mgpu::gpu::nvml;
using nvml::Return;

constexpr Return kTimeout = 10;
constexpr std::uint64_t kXid = 0x8;
constexpr std::uint64_t kSupported = 0x1f;

struct EventSet {
  nvml::Device device = nullptr;
  std::uint64_t types = 0;
};

// nvmlEventData_t
struct EventData {
  nvml::Device device;
  std::uint64_t type, data;
  std::uint32_t gpu_instance, compute_instance;
};

}  // namespace

MGPU_EXPORT Return nvmlDeviceGetSupportedEventTypes(nvml::Device, std::uint64_t* types) {
  return *types = kSupported, nvml::kSuccess;
}

MGPU_EXPORT Return nvmlEventSetCreate(EventSet** set) { return *set = new EventSet, nvml::kSuccess; }

MGPU_EXPORT Return nvmlDeviceRegisterEvents(nvml::Device device, std::uint64_t types, EventSet* set) {
  if ((types & ~kSupported) != 0) return nvml::kNotSupported;
  *set = {.device = device, .types = types};
  return nvml::kSuccess;
}

MGPU_EXPORT Return nvmlEventSetWait_v2(EventSet* set, EventData* data, unsigned timeout_ms) {
  const char* xid = std::getenv("MGPU_FAKE_XID");
  if (xid != nullptr && (set->types & kXid) != 0) {
    *data = {set->device, kXid, std::strtoull(xid, nullptr, 10), nvml::kNoInstance, nvml::kNoInstance};
    return nvml::kSuccess;
  }
  const timespec pause{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
  nanosleep(&pause, nullptr);
  return kTimeout;
}

MGPU_EXPORT Return nvmlEventSetFree(EventSet* set) {
  delete set;
  return nvml::kSuccess;
}
