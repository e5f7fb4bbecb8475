// From the driver's figures to a Reading of the core: the bytes, by the consumers that own them. Values only.
//
// Mostly the driver tells each process' bytes. In a container without permission or under WSL2 it tells only
// the total. Then bytes are reckoned by totals before and after: what comes while something of ours loads is
// taken for its, what goes while something of ours leaves was its, and everything else is foreign. Even where
// that is wrong about an owner, no memory in use counts as free: consumers, leases and foreign add up to what
// the driver says is used.
#pragma once

#include <vector>

#include "gpu/attribution.h"
#include "sched/world.h"

namespace mgpu::engine {

// Whether the driver really tells our processes' bytes. A list that none of ours is in is no proof of that
// while something of ours should be: not after readings that did not tell, and not of a driver that has never
// listed anybody (`listed_processes`) while something loads or has come unlisted.
bool can_attribute_by_process(const World& world, DeviceId device, const gpu::RawReading& raw,
                              const gpu::Attribution& attributed, bool listed_processes);

// When something of a consumer came last; 0: never.
struct LastLoad {
  Instant loaded_at{};      // its load ended
  Instant found_warm_at{};  // it was seen to be there without our doing
};
using LastLoads = std::vector<LastLoad>;  // by ConsumerId

// `attributed` is of `raw`; `is_per_process` is the answer of can_attribute_by_process.
Reading make_reading(const World& world, DeviceId device, Instant taken, const gpu::RawReading& raw,
                     const gpu::Attribution& attributed, bool by_process, const LastLoads& last_loads);

// What all consumers and bare leases of a device together should hold.
Bytes total_expected_bytes(const World& world, DeviceId device);

}  // namespace mgpu::engine
