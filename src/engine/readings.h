// Converts the driver's figures to a Reading for the core: bytes by owner. Values only.
//
// Usually the driver reports the bytes of each process. In a container without permission, and under WSL2, it
// reports only the total. Then the change between two totals is attributed: growth while a consumer loads is
// that consumer's, shrinkage while one unloads was that consumer's, everything else is foreign. An
// attribution to the wrong owner never makes used memory count as free: consumers, leases and foreign always
// add up to the driver's total.
#pragma once

#include <vector>

#include "gpu/attribution.h"
#include "sched/world.h"

namespace mgpu::engine {

// Whether the driver reports the bytes of the daemon's processes. A list without any of them is no proof
// while one of them should hold memory: not if earlier readings were by totals, and not if the driver has
// never listed any process (`listed_processes`) while a consumer loads or its memory has arrived unlisted.
bool can_attribute_by_process(const World& world, DeviceId device, const gpu::RawReading& raw,
                              const gpu::Attribution& attributed, bool listed_processes);

// The last time a consumer's memory grew; 0: never.
struct LastLoad {
  Instant loaded_at{};      // its load ended
  Instant found_warm_at{};  // found warm without a load by the daemon
};
using LastLoads = std::vector<LastLoad>;  // by ConsumerId

// `attributed` is computed from `raw`; `is_per_process` is the result of can_attribute_by_process.
Reading make_reading(const World& world, DeviceId device, Instant taken, const gpu::RawReading& raw,
                     const gpu::Attribution& attributed, bool by_process, const LastLoads& last_loads);

// The expected sum of all consumers and bare leases on a device.
Bytes total_expected_bytes(const World& world, DeviceId device);

}  // namespace mgpu::engine
