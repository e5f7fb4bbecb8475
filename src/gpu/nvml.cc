// NVML by dlopen: the driver's library or the simulated GPU, one code path. Every symbol is resolved on its
// own, so that an old driver costs us a number and not the whole device.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include <dlfcn.h>

#include "gpu/nvml_abi.h"
#include "gpu/provider.h"

namespace mgpu::gpu {
namespace {

using nvml::Return;

// A loaded library; closed with its owner.
class Library {
 public:
  explicit Library(const std::string& name) : handle_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {}
  Library(Library&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Library& operator=(Library&&) = delete;
  ~Library() {
    if (handle_) dlclose(handle_);
  }

  explicit operator bool() const { return handle_ != nullptr; }

  // The first of `add_names` that the library has; null if none.
  template <class Function>
  Function* find(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (void* symbol = dlsym(handle_, name)) return reinterpret_cast<Function*>(symbol);
    }
    return nullptr;
  }

 private:
  void* handle_ = nullptr;
};

using ProcessList = Return(nvml::Device, unsigned*, nvml::ProcessInfo*);

struct NvmlFunctions {
  explicit NvmlFunctions(const Library& library)
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
        // Never the names without a suffix: those fill smaller structs. MPS clients are in a list of their
        // own.
        process_lists{library.find<ProcessList>({"nvmlDeviceGetComputeRunningProcesses_v3",
                                                 "nvmlDeviceGetComputeRunningProcesses_v2"}),
                      library.find<ProcessList>({"nvmlDeviceGetGraphicsRunningProcesses_v3",
                                                 "nvmlDeviceGetGraphicsRunningProcesses_v2"}),
                      library.find<ProcessList>({"nvmlDeviceGetMPSComputeRunningProcesses_v3",
                                                 "nvmlDeviceGetMPSComputeRunningProcesses_v2"})},
        simulated(library.find<void()>({"mgpu_simgpu_alloc"}) != nullptr) {}

  // What we can't do without.
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

// The list may grow between the call that tells its size and the one that fills it: some room to spare, and
// again.
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
  if (code != nvml::kSuccess) return fail(ErrorCode::not_supported, "no process list");
  processes.resize(std::min<std::size_t>(count, processes.size()));
  return processes;
}

// A process can be in several lists with the same bytes: the largest number counts, a known one over an
// unknown.
void merge(std::map<int, std::optional<Bytes>>& into, const nvml::ProcessInfo& process) {
  auto& bytes = into[static_cast<int>(process.pid)];
  if (process.used_gpu_memory == nvml::kValueNotAvailable) return;
  bytes = std::max(bytes.value_or(Bytes{0}), to_bytes(process.used_gpu_memory));
}

class NvmlProvider final : public Provider {
 public:
  // REQUIRES: init() has succeeded; from here on it is ours to shut down.
  NvmlProvider(Library library, const NvmlFunctions& functions)
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
  // The slices of a device that is cut into some; none: it is whole.
  std::optional<std::vector<nvml::Device>> mig_slices(nvml::Device device) const;

  Library library_;  // before all that points into it
  NvmlFunctions functions_;
  std::vector<DeviceInfo> devices_;
  std::map<std::uint32_t, nvml::Device> handles_;  // of devices_, by index
};

Result<void> NvmlProvider::discover() {
  unsigned count = 0;
  if (const Return code = functions_.count(&count); code != nvml::kSuccess) {
    return fail(ErrorCode::unavailable,
                "the driver does not count its devices: " + functions_.describe_error(code));
  }
  std::vector<nvml::Device> slices;
  for (unsigned index = 0; index < count; ++index) {
    nvml::Device handle = nullptr;
    // One broken device must not hide the others.
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
  read_memory(device, memory);  // one that is lost right now is listed with a total of 0
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
    // Places may be empty, also in between.
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
  nvml::Memory memory;  // its `used_bytes` includes what the driver reserves
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
    // Only the first list has what computes; the others alone would pass for "nobody computes".
    if (list == functions_.process_lists.front()) reading.lists_processes = true;
    for (const auto& process : *processes) merge(merged, process);
  }
  for (const auto& [pid, bytes] : merged) reading.processes.push_back({.pid = pid, .bytes = bytes});
}

Result<RawReading> NvmlProvider::read(std::uint32_t index) {
  const auto found = handles_.find(index);
  if (found == handles_.end()) {
    return fail(ErrorCode::device_lost, "the driver has no device " + std::to_string(index));
  }
  RawReading reading;
  if (const Return code = read_memory(found->second, reading); code != nvml::kSuccess) {
    return fail(ErrorCode::device_lost, "the driver does not answer for device " + std::to_string(index) +
                                            ": " + functions_.describe_error(code));
  }
  read_processes(found->second, reading);
  return reading;
}

Telemetry NvmlProvider::read_telemetry(std::uint32_t index) {
  Telemetry telemetry;
  const auto found = handles_.find(index);
  if (found == handles_.end()) return telemetry;
  const nvml::Device device = found->second;  // a slice has memory of its own, and mostly none of these
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
  Library loaded(library);
  if (!loaded) {
    const char* why = dlerror();
    return fail(ErrorCode::unavailable, "no NVML library: looked for \"" + library +
                                            "\", but it can't be loaded: " + (why ? why : "no reason given"));
  }
  const NvmlFunctions functions(loaded);
  if (const char* symbol = functions.missing_symbol()) {
    return fail(ErrorCode::unavailable,
                "\"" + library + "\" is no NVML library that we can use: it lacks " + symbol);
  }
  if (const Return code = functions.init(); code != nvml::kSuccess) {
    return fail(ErrorCode::unavailable,
                "NVML of \"" + library + "\" does not start: " + functions.describe_error(code));
  }
  auto provider = std::make_unique<NvmlProvider>(std::move(loaded), functions);
  if (const auto found = provider->discover(); !found) return std::unexpected(found.error());
  return provider;
}

}  // namespace mgpu::gpu
