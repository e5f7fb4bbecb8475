// What NVML shows of one device, read as the daemon reads it (gpu/provider.h), and what only this check asks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gpu/provider.h"

#include "tests/gpu/step_result.h"

namespace mgpu::gpu_check {

// $MGPU_NVML_LIBRARY, else libnvidia-ml.so.1.
std::string nvml_library();

inline std::uint64_t used_of(const gpu::RawReading& reading) {
  return static_cast<std::uint64_t>(reading.used.count);
}
inline std::uint64_t free_of(const gpu::RawReading& reading) {
  return static_cast<std::uint64_t>((reading.total - reading.used - reading.driver_reserved).count);
}

class NvmlView {
 public:
  // The device whose UUID is the value of CUDA_VISIBLE_DEVICES, else the first. Error: unavailable.
  static Result<NvmlView> open();

  const gpu::DeviceInfo& device() const { return device_; }
  const std::vector<gpu::DeviceInfo>& devices() const { return provider_->devices(); }
  gpu::RawReading read() const;
  // The process' row; none: it is not listed, or without its bytes.
  static std::optional<std::uint64_t> bytes_of(const gpu::RawReading& reading, int pid);

  // Reads until `seen` is true of a reading; false: it was not within `limit_ms`.
  bool wait_until(const std::function<bool(const gpu::RawReading&)>& seen, double limit_ms) const;
  // The milliseconds from `since` (clock.h) until then, or kNeverSeen.
  double delay_until(const std::function<bool(const gpu::RawReading&)>& seen, double since,
                     double limit_ms) const;

 private:
  NvmlView(std::unique_ptr<gpu::Provider> provider, gpu::DeviceInfo device)
      : provider_(std::move(provider)), device_(std::move(device)) {}

  std::unique_ptr<gpu::Provider> provider_;
  gpu::DeviceInfo device_;
};

// Adds the versions of driver and NVML, and whether MIG is on.
void add_driver_versions(StepResult& result);

// Subscribes to the events of the first device (Xid errors, ECC, ...) and waits a second for one.
StepResult check_device_events();

}  // namespace mgpu::gpu_check
