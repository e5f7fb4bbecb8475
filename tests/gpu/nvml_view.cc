#include "tests/gpu/nvml_view.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "gpu/dynamic_library.h"
#include "gpu/nvml_abi.h"

#include "tests/gpu/clock.h"

namespace mgpu::gpu_check {

namespace nvml = gpu::nvml;
using nvml::Return;

namespace {

constexpr Return kTimeout = 10;
constexpr unsigned kEventWaitMs = 1000;

// nvmlEventData_t
struct EventData {
  nvml::Device device = nullptr;
  std::uint64_t type = 0;
  std::uint64_t data = 0;  // of an Xid event: the Xid
  std::uint32_t gpu_instance = 0;
  std::uint32_t compute_instance = 0;
};
static_assert(sizeof(EventData) == 32);

struct EventType {
  std::uint64_t bit;
  const char* name;
};
constexpr EventType kEventTypes[] = {
    {0x1, "single-bit ECC error"},
    {0x2, "double-bit ECC error"},
    {0x4, "performance state"},
    {0x8, "Xid critical error"},
    {0x10, "clock"},
    {0x80, "power source"},
    {0x100, "MIG configuration"},
};
constexpr std::uint64_t kErrorEvents = 0x1 | 0x2 | 0x8;

std::string event_names(std::uint64_t mask) {
  std::string names;
  for (const EventType& type : kEventTypes)
    if ((mask & type.bit) != 0) names += (names.empty() ? "" : ", ") + std::string(type.name);
  return names;
}

std::string code_text(Return code) { return "NVML code " + std::to_string(code); }

std::string read_text(const gpu::DynamicLibrary& library, const char* function) {
  std::array<char, nvml::kVersionSize> text{};
  auto* get = library.find<Return(char*, unsigned)>({function});
  if (get == nullptr || get(text.data(), text.size() - 1) != nvml::kSuccess) return "unknown";
  return text.data();
}

// The calls of the subscription, on an initialized library.
void subscribe(const gpu::DynamicLibrary& library, StepResult& result) {
  auto* handle_by_index = library.find<Return(unsigned, nvml::Device*)>({"nvmlDeviceGetHandleByIndex_v2"});
  auto* supported = library.find<Return(nvml::Device, std::uint64_t*)>({"nvmlDeviceGetSupportedEventTypes"});
  auto* create = library.find<Return(void**)>({"nvmlEventSetCreate"});
  auto* add = library.find<Return(nvml::Device, std::uint64_t, void*)>({"nvmlDeviceRegisterEvents"});
  auto* wait = library.find<Return(void*, EventData*, unsigned)>({"nvmlEventSetWait_v2", "nvmlEventSetWait"});
  auto* destroy = library.find<Return(void*)>({"nvmlEventSetFree"});
  if (!handle_by_index || !supported || !create || !add || !wait || !destroy)
    return result.skip("the NVML library has no events");
  nvml::Device device = nullptr;
  std::uint64_t mask = 0;
  if (const Return code = handle_by_index(0, &device); code != nvml::kSuccess)
    return result.fail("no device: " + code_text(code));
  if (const Return code = supported(device, &mask); code != nvml::kSuccess)
    return result.skip("the device does not say which events it has: " + code_text(code));
  result.add("events that the device has", event_names(mask));
  void* set = nullptr;
  if (const Return code = create(&set); code != nvml::kSuccess)
    return result.fail("no set of events: " + code_text(code));
  const Return added = add(device, mask & kErrorEvents, set);
  result.add("subscription to " + event_names(mask & kErrorEvents),
             added == nvml::kSuccess ? "accepted" : code_text(added));
  EventData event;
  const double start = now_ms();
  const Return waited = wait(set, &event, kEventWaitMs);
  result.add("wait for an event", now_ms() - start, "ms");
  result.add("outcome of the wait", waited == kTimeout ? "none came, as expected"
                                    : waited == nvml::kSuccess
                                        ? event_names(event.type) + ", data " + std::to_string(event.data)
                                        : code_text(waited));
  destroy(set);
  if (added != nvml::kSuccess) result.fail("the subscription was refused: " + code_text(added));
}

}  // namespace

std::string nvml_library() {
  const char* path = std::getenv("MGPU_NVML_LIBRARY");
  return path != nullptr && *path != '\0' ? path : "libnvidia-ml.so.1";
}

Result<NvmlView> NvmlView::open() {
  auto provider = gpu::open_nvml(nvml_library());
  if (!provider) return std::unexpected(provider.error());
  const auto& devices = (*provider)->devices();
  if (devices.empty()) return fail(ErrorCode::unavailable, "NVML lists no device");
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const auto chosen =
      std::ranges::find(devices, std::string(visible != nullptr ? visible : ""), &gpu::DeviceInfo::uuid);
  gpu::DeviceInfo device = chosen != devices.end() ? *chosen : devices.front();
  return NvmlView(std::move(*provider), std::move(device));
}

gpu::RawReading NvmlView::read() const {
  auto reading = provider_->read(device_.index);
  return reading ? std::move(*reading) : gpu::RawReading{};
}

std::optional<std::uint64_t> NvmlView::bytes_of(const gpu::RawReading& reading, int pid) {
  for (const gpu::ProcessUsage& process : reading.processes)
    if (process.pid == pid && process.bytes) return static_cast<std::uint64_t>(process.bytes->count);
  return std::nullopt;
}

bool NvmlView::wait_until(const std::function<bool(const gpu::RawReading&)>& seen, double limit_ms) const {
  for (const double until = now_ms() + limit_ms; now_ms() < until;)
    if (seen(read())) return true;
  return false;
}

double NvmlView::delay_until(const std::function<bool(const gpu::RawReading&)>& seen, double since,
                             double limit_ms) const {
  return wait_until(seen, limit_ms) ? std::max(0.0, now_ms() - since) : kNeverSeen;
}

void add_driver_versions(StepResult& result) {
  const gpu::DynamicLibrary library(nvml_library());
  auto* init = library ? library.find<Return()>({"nvmlInit_v2"}) : nullptr;
  auto* shutdown = library ? library.find<Return()>({"nvmlShutdown"}) : nullptr;
  if (!init || !shutdown || init() != nvml::kSuccess) return;
  result.add("driver", read_text(library, "nvmlSystemGetDriverVersion"));
  result.add("NVML", read_text(library, "nvmlSystemGetNVMLVersion"));
  auto* handle_by_index = library.find<Return(unsigned, nvml::Device*)>({"nvmlDeviceGetHandleByIndex_v2"});
  auto* mig = library.find<Return(nvml::Device, unsigned*, unsigned*)>({"nvmlDeviceGetMigMode"});
  nvml::Device device = nullptr;
  unsigned now = 0, after_reboot = 0;
  if (handle_by_index && mig && handle_by_index(0, &device) == nvml::kSuccess) {
    const Return code = mig(device, &now, &after_reboot);
    result.add("MIG of the first device", code != nvml::kSuccess
                                              ? "the device has none (" + code_text(code) + ")"
                                          : now == nvml::kMigOn ? "on"
                                                                : "off");
  }
  shutdown();
}

StepResult check_device_events() {
  StepResult result;
  const gpu::DynamicLibrary library(nvml_library());
  if (!library) return result.fail("can't load " + nvml_library()), result;
  auto* init = library.find<Return()>({"nvmlInit_v2"});
  auto* shutdown = library.find<Return()>({"nvmlShutdown"});
  if (!init || !shutdown) return result.fail("the NVML library lacks nvmlInit_v2"), result;
  if (const Return code = init(); code != nvml::kSuccess)
    return result.fail("nvmlInit: " + code_text(code)), result;
  subscribe(library, result);
  shutdown();
  return result;
}

}  // namespace mgpu::gpu_check
