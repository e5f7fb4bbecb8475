// A provider reads the devices of this machine. One interface, because there are several: NVML (the driver's
// library or the simulated GPU, loaded by path, one code path), drm (gpu/drm.h), and both in one list.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::gpu {

struct DeviceInfo {
  std::uint32_t index = 0;  // the driver's order
  std::string name{};       // "NVIDIA GeForce RTX 4090"
  std::string uuid{};
  Bytes total{};
  bool simulated = false;
  bool host_memory = false;  // an APU's: its memory is a part of the host's
};

// One process' share of a device.
struct ProcessUsage {
  int pid = 0;                   // as the host sees it
  std::optional<Bytes> bytes{};  // none: the driver does not say (never a silent zero)
  std::string command{};         // from /proc, filled in by attribution
};

struct Telemetry {
  std::optional<unsigned> utilisation_percent{};
  std::optional<unsigned> temperature_c{};
  std::optional<double> power_w{};
};

struct RawReading {
  Bytes total{};
  Bytes used{};
  Bytes driver_reserved{};  // counted neither as used nor free by NVML's v2 struct
  std::vector<ProcessUsage> processes{};
  bool lists_processes = true;  // false: the driver has no list to give, so that an empty one says nothing
  std::vector<int> unreadable_pids{};  // processes that may hold memory here, but which we may not look into
};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual const std::vector<DeviceInfo>& devices() const = 0;
  // Thread-safe; may block for some milliseconds. Error: device_lost.
  virtual Result<RawReading> read(std::uint32_t index) = 0;
  virtual Telemetry read_telemetry(std::uint32_t index) = 0;
};

// Loads the NVML library at `library` (a path or a soname). A device that is cut into MIG slices is not
// listed, each slice is: they are numbered on from the last device. Slices that are several compute instances
// of one GPU instance share its memory, and each then shows all of it: what the others hold is foreign to it.
// Errors, saying what was looked for: unavailable.
Result<std::unique_ptr<Provider>> open_nvml(const std::string& library);

}  // namespace mgpu::gpu
