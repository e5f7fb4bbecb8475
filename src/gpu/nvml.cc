// Provider `nvml`: loads the driver's library, or the simulated GPU, with dlopen. Each symbol is resolved
// separately: if an old driver lacks one, a value is missing and not the whole device.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "gpu/dynamic_library.h"
#include "gpu/nvml_abi.h"
#include "gpu/provider.h"

namespace mgpu::gpu {
namespace {

using nvml::Return;

using ProcessList = Return(nvml::Device, unsigned*, nvml::ProcessInfo*);

struct NvmlFunctions {
  explicit NvmlFunctions(const DynamicLibrary& library)
      : init(library.find<Return()>({"nvmlInit_v2"})),
        shutdown(library.find<Return()>({"nvmlShutdown"})),
        error_string(library.find<const char*(Return)>({"nvmlErrorString"})),
        count(library.find<Return(unsigned*)>({"nvmlDeviceGetCount_v2"})),
        handle_by_index(library.find<Return(unsigned, nvml::Device*)>({"nvmlDeviceGetHandleByIndex_v2"})),
        name(library.find<Return(nvml::Device, char*, unsigned)>({"nvmlDeviceGetName"})),
        uuid(library.find<Return(nvml::Device, char*, unsigned)>({"nvmlDeviceGetUUID"})),
        memory(library.find<Return(nvml::Device, nvml::Memory*)>({"nvmlDeviceGetMemoryInfo"})),
        memory_v2(library.find<Return(nvml::Device, nvml::MemoryV2*)>({"nvmlDeviceGetMemoryInfo_v2"})),
        utilization(
            library.find<Return(nvml::Device, nvml::Utilization*)>({"nvmlDeviceGetUtilizationRates"})),
        temperature(library.find<Return(nvml::Device, int, unsigned*)>({"nvmlDeviceGetTemperature"})),
        power(library.find<Return(nvml::Device, unsigned*)>({"nvmlDeviceGetPowerUsage"})),
        mig_mode(library.find<Return(nvml::Device, unsigned*, unsigned*)>({"nvmlDeviceGetMigMode"})),
        max_mig_devices(library.find<Return(nvml::Device, unsigned*)>({"nvmlDeviceGetMaxMigDeviceCount"})),
        mig_handle_by_index(library.find<Return(nvml::Device, unsigned, nvml::Device*)>(
            {"nvmlDeviceGetMigDeviceHandleByIndex"})),
        // Not the functions without a suffix: they fill a smaller struct. MPS clients are in a separate list.
        process_lists{library.find<ProcessList>({"nvmlDeviceGetComputeRunningProcesses_v3",
                                                 "nvmlDeviceGetComputeRunningProcesses_v2"}),
                      library.find<ProcessList>({"nvmlDeviceGetGraphicsRunningProcesses_v3",
                                                 "nvmlDeviceGetGraphicsRunningProcesses_v2"}),
                      library.find<ProcessList>({"nvmlDeviceGetMPSComputeRunningProcesses_v3",
                                                 "nvmlDeviceGetMPSComputeRunningProcesses_v2"})},
        simulated(library.find<void()>({"mgpu_simgpu_alloc"}) != nullptr) {}

  // The name of a required function that the library lacks; null if it has them all.
  const char* missing_symbol() const {
    if (!init) return "nvmlInit_v2";
    if (!count) return "nvmlDeviceGetCount_v2";
    if (!handle_by_index) return "nvmlDeviceGetHandleByIndex_v2";
    if (!memory && !memory_v2) return "nvmlDeviceGetMemoryInfo";
    return nullptr;
  }

  std::string describe_error(Return code) const {
    const std::string number = " (NVML code " + std::to_string(code) + ")";
    return (error_string ? std::string(error_string(code)) : "NVML error") + number;
  }

  Return (*init)();
  Return (*shutdown)();
  const char* (*error_string)(Return);
  Return (*count)(unsigned*);
  Return (*handle_by_index)(unsigned, nvml::Device*);
  Return (*name)(nvml::Device, char*, unsigned);
  Return (*uuid)(nvml::Device, char*, unsigned);
  Return (*memory)(nvml::Device, nvml::Memory*);
  Return (*memory_v2)(nvml::Device, nvml::MemoryV2*);
  Return (*utilization)(nvml::Device, nvml::Utilization*);
  Return (*temperature)(nvml::Device, int, unsigned*);
  Return (*power)(nvml::Device, unsigned*);
  Return (*mig_mode)(nvml::Device, unsigned* now, unsigned* after_reboot);
  Return (*max_mig_devices)(nvml::Device, unsigned*);
  Return (*mig_handle_by_index)(nvml::Device, unsigned, nvml::Device*);
  std::array<ProcessList*, 3> process_lists;
  bool simulated;
};

Bytes to_bytes(std::uint64_t count) { return Bytes{static_cast<std::int64_t>(count)}; }

std::string read_text(Return (*get)(nvml::Device, char*, unsigned), nvml::Device device) {
  std::array<char, nvml::kNameSize> text{};
  if (!get || get(device, text.data(), nvml::kNameSize) != nvml::kSuccess) return {};
  text.back() = '\0';
  return text.data();
}

// The list may grow between the call for its size and the call that fills it, so the buffer has spare
// entries, and the call is repeated.
Result<std::vector<nvml::ProcessInfo>> list_processes(ProcessList* list, nvml::Device device) {
  constexpr unsigned kSpare = 8;
  constexpr int kTries = 5;
  unsigned count = 0;
  Return code = list(device, &count, nullptr);
  if (code == nvml::kSuccess) return {};
  std::vector<nvml::ProcessInfo> processes;
  for (int tries = 0; code == nvml::kInsufficientSize && tries < kTries; ++tries) {
    processes.resize(count + kSpare);
    count += kSpare;
    code = list(device, &count, processes.data());
  }
  if (code != nvml::kSuccess)
    return fail(ErrorCode::not_supported,
                "the driver does not list processes (NVML code " + std::to_string(code) + ")");
  processes.resize(std::min<std::size_t>(count, processes.size()));
  return processes;
}

// Several lists may contain a process with the same bytes: the largest known number counts.
void merge(std::map<int, std::optional<Bytes>>& into, const nvml::ProcessInfo& process) {
  auto& bytes = into[static_cast<int>(process.pid)];
  if (process.used_gpu_memory == nvml::kValueNotAvailable) return;
  bytes = std::max(bytes.value_or(Bytes{0}), to_bytes(process.used_gpu_memory));
}

class NvmlProvider final : public Provider {
 public:
  // REQUIRES: init() has succeeded. The destructor calls shutdown().
  NvmlProvider(DynamicLibrary library, const NvmlFunctions& functions)
      : library_(std::move(library)), functions_(functions) {}
  NvmlProvider(const NvmlProvider&) = delete;
  NvmlProvider& operator=(const NvmlProvider&) = delete;
  ~NvmlProvider() override {
    if (functions_.shutdown) functions_.shutdown();
  }

  Result<void> discover();
  const std::vector<DeviceInfo>& devices() const override { return devices_; }
  Result<RawReading> read(std::uint32_t index) override;
  Telemetry read_telemetry(std::uint32_t index) override;

 private:
  Return read_memory(nvml::Device device, RawReading& reading) const;
  void read_processes(nvml::Device device, RawReading& reading) const;
  void add_device(std::uint32_t index, nvml::Device device);
  // The MIG slices of a device; nullopt: MIG is off.
  std::optional<std::vector<nvml::Device>> mig_slices(nvml::Device device) const;

  DynamicLibrary library_;  // first, since the members below point into it
  NvmlFunctions functions_;
  std::vector<DeviceInfo> devices_;
  std::map<std::uint32_t, nvml::Device> handles_;  // of devices_, by index
};

Result<void> NvmlProvider::discover() {
  unsigned count = 0;
  if (const Return code = functions_.count(&count); code != nvml::kSuccess) {
    return fail(ErrorCode::unavailable,
                "the driver does not report the number of its devices: " + functions_.describe_error(code));
  }
  std::vector<nvml::Device> slices;
  for (unsigned index = 0; index < count; ++index) {
    nvml::Device handle = nullptr;
    // A broken device is skipped; the others stay usable.
    if (functions_.handle_by_index(index, &handle) != nvml::kSuccess) continue;
    if (const auto device_slices = mig_slices(handle))
      slices.insert(slices.end(), device_slices->begin(), device_slices->end());
    else
      add_device(index, handle);
  }
  for (const nvml::Device slice : slices) add_device(count++, slice);
  return {};
}

void NvmlProvider::add_device(std::uint32_t index, nvml::Device device) {
  RawReading memory;
  read_memory(device, memory);  // a lost device is listed with a total of 0
  handles_[index] = device;
  devices_.push_back({.index = index,
                      .name = read_text(functions_.name, device),
                      .uuid = read_text(functions_.uuid, device),
                      .total = memory.total,
                      .simulated = functions_.simulated});
}

std::optional<std::vector<nvml::Device>> NvmlProvider::mig_slices(nvml::Device device) const {
  unsigned now = 0;
  unsigned after_reboot = 0;
  unsigned slot_count = 0;
  if (!functions_.mig_mode || !functions_.max_mig_devices || !functions_.mig_handle_by_index)
    return std::nullopt;
  if (functions_.mig_mode(device, &now, &after_reboot) != nvml::kSuccess || now != nvml::kMigOn)
    return std::nullopt;
  if (functions_.max_mig_devices(device, &slot_count) != nvml::kSuccess) return std::nullopt;
  std::vector<nvml::Device> slices;
  for (unsigned slot = 0; slot < slot_count; ++slot) {
    nvml::Device slice = nullptr;
    // Any slot may be empty.
    if (functions_.mig_handle_by_index(device, slot, &slice) == nvml::kSuccess) slices.push_back(slice);
  }
  return slices;
}

Return NvmlProvider::read_memory(nvml::Device device, RawReading& reading) const {
  if (functions_.memory_v2) {
    nvml::MemoryV2 memory;
    const Return code = functions_.memory_v2(device, &memory);
    if (code == nvml::kSuccess) {
      reading.total = to_bytes(memory.total);
      reading.used = to_bytes(memory.used);
      reading.driver_reserved = to_bytes(memory.reserved);
    }
    const bool unsupported = code == nvml::kArgumentVersionMismatch || code == nvml::kNotSupported;
    if (!functions_.memory || !unsupported) return code;
  }
  nvml::Memory memory;  // its `used` includes the bytes that the driver reserves
  const Return code = functions_.memory(device, &memory);
  if (code == nvml::kSuccess) {
    reading.total = to_bytes(memory.total);
    reading.used = to_bytes(memory.used);
  }
  return code;
}

void NvmlProvider::read_processes(nvml::Device device, RawReading& reading) const {
  reading.lists_processes = false;
  std::map<int, std::optional<Bytes>> merged;
  for (ProcessList* list : functions_.process_lists) {
    if (!list) continue;
    const auto processes = list_processes(list, device);
    if (!processes) continue;
    // Without the first list (compute processes) the others would wrongly mean that nothing computes.
    if (list == functions_.process_lists.front()) reading.lists_processes = true;
    for (const auto& process : *processes) merge(merged, process);
  }
  for (const auto& [pid, bytes] : merged) reading.processes.push_back({.pid = pid, .bytes = bytes});
}

Result<RawReading> NvmlProvider::read(std::uint32_t index) {
  const auto found = handles_.find(index);
  if (found == handles_.end()) {
    return fail(ErrorCode::device_lost, "the driver has no device with the index " + std::to_string(index));
  }
  RawReading reading;
  if (const Return code = read_memory(found->second, reading); code != nvml::kSuccess) {
    return fail(ErrorCode::device_lost, "the driver can't read the memory of device " +
                                            std::to_string(index) + ": " + functions_.describe_error(code));
  }
  read_processes(found->second, reading);
  return reading;
}

Telemetry NvmlProvider::read_telemetry(std::uint32_t index) {
  Telemetry telemetry;
  const auto found = handles_.find(index);
  if (found == handles_.end()) return telemetry;
  const nvml::Device device = found->second;  // a MIG slice mostly reports none of these values
  nvml::Utilization utilization;
  if (functions_.utilization && functions_.utilization(device, &utilization) == nvml::kSuccess) {
    telemetry.utilisation_percent = utilization.gpu;
  }
  unsigned number = 0;
  if (functions_.temperature &&
      functions_.temperature(device, nvml::kTemperatureGpu, &number) == nvml::kSuccess) {
    telemetry.temperature_c = number;
  }
  if (functions_.power && functions_.power(device, &number) == nvml::kSuccess)
    telemetry.power_w = number / 1000.0;
  return telemetry;
}

}  // namespace

Result<std::unique_ptr<Provider>> open_nvml(const std::string& library) {
  DynamicLibrary loaded(library);
  if (!loaded) {
    const char* why = dlerror();
    return fail(ErrorCode::unavailable, "can't load the NVML library \"" + library +
                                            "\": " + (why ? why : "no reason given") +
                                            " (set gpu.library or MGPU_NVML_LIBRARY to another path)");
  }
  const NvmlFunctions functions(loaded);
  if (const char* symbol = functions.missing_symbol()) {
    return fail(ErrorCode::unavailable,
                "\"" + library + "\" is not a usable NVML library: it lacks the function " + symbol);
  }
  if (const Return code = functions.init(); code != nvml::kSuccess) {
    return fail(ErrorCode::unavailable,
                "NVML in \"" + library + "\" can't be initialized: " + functions.describe_error(code));
  }
  auto provider = std::make_unique<NvmlProvider>(std::move(loaded), functions);
  if (const auto found = provider->discover(); !found) return std::unexpected(found.error());
  return provider;
}

}  // namespace mgpu::gpu
