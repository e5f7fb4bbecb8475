// Builds the initial world from the configuration: maps configured devices to the driver's, and defines the
// consumers and their footprints. Values only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/id_table.h"
#include "gpu/provider.h"
#include "sched/world.h"

namespace mgpu::engine {

struct Setup {
  World world{};
  std::vector<gpu::DeviceInfo> devices{};  // by DeviceId
  config::IdTable ids{};                   // of devices and consumers
  std::string cuda_checkpoint{};           // the utility's path; empty: the driver parks, or none does
  std::map<ResidentId, std::string> estimated_from{};  // residents with an estimated footprint: the file
};

// Error: invalid_config (a device that was not found, a consumer bound to it).
Result<Setup> make_setup(const config::Config& config, const std::vector<gpu::DeviceInfo>& found);

Bytes total_device_memory(const std::vector<gpu::DeviceInfo>& devices);

}  // namespace mgpu::engine
