// The interface of providers, which read the devices of this machine: NVML (the driver's library or the
// simulated GPU, loaded by path), drm (gpu/drm.h), and both combined (gpu/composite_provider.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::gpu {

enum class Vendor : std::uint8_t { nvidia, amd, intel };

struct DeviceInfo {
  std::uint32_t index = 0;  // in the driver's order
  std::string name{};       // "NVIDIA GeForce RTX 4090"
  std::string uuid{};
  Bytes total{};
  bool simulated = false;
  bool host_memory = false;  // an APU: its memory is part of the host's
  Vendor vendor = Vendor::nvidia;
};

// One process' share of a device.
struct ProcessUsage {
  int pid = 0;                   // in the host's pid namespace
  std::optional<Bytes> bytes{};  // nullopt: the driver does not report it (never 0 instead)
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
  Bytes driver_reserved{};  // neither used nor free in NVML's v2 struct
  std::vector<ProcessUsage> processes{};
  bool lists_processes = true;         // false: the driver gives no list, and `processes` is meaningless
  std::vector<int> unreadable_pids{};  // processes that may hold device memory but can't be inspected
};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual const std::vector<DeviceInfo>& devices() const = 0;
  // Thread-safe; may block for some milliseconds. Error: device_lost.
  virtual Result<RawReading> read(std::uint32_t index) = 0;
  virtual Telemetry read_telemetry(std::uint32_t index) = 0;
};

// Loads the NVML library at `library` (a path or a soname). Of a device with MIG slices only the slices are
// listed; their indices continue after the last device. Compute instances of the same GPU instance share its
// memory, and each reports all of it: memory of the others is foreign to it. Error: unavailable (the detail
// names the library).
Result<std::unique_ptr<Provider>> open_nvml(const std::string& library);

}  // namespace mgpu::gpu
