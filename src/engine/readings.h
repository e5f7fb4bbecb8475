// From what the driver said to what the core reads: the bytes, by who they belong to. Values only.
#pragma once

#include <span>

#include "gpu/attribution.h"
#include "sched/world.h"

namespace mgpu::engine {

// `attributed` is of `raw`. Where the driver does not tell bytes by process, consumers are taken to hold what
// is expected of them, except that one which is being evicted holds all that is not explained: memory is
// never called free because nobody could say whose it is.
Reading reading_of(const World& world, DeviceId device, Instant taken, const gpu::RawReading& raw,
                   const gpu::Attribution& attributed);

// What all consumers and bare leases of a device together should hold.
Bytes expected_on(const World& world, DeviceId device);

}  // namespace mgpu::engine
