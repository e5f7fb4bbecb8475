// A house that can be lived in again: the world before anything happened, and what moving its residents truly
// takes. The core finds that out by itself, as it does in a daemon.
#pragma once

#include <vector>

#include "sched/world.h"

namespace mgpu::replay {

// The true costs of one resident. Zero means at once.
struct Costs {
  Duration load_cold{};    // weights from the disk
  Duration load_cached{};  // weights from the page cache
  Duration load_parked{};  // back from host memory
  Duration unload{};
  Duration park{};
};

struct Machine {
  World world{};                       // devices, consumers, residents and limits; no reading, no ticket yet
  std::vector<Bytes> device_memory{};  // by DeviceId: memory of each device
  std::vector<Costs> costs{};          // by ResidentId
  Bytes page_cache{};  // host memory that keeps weights after they were read; the least recently used go
};

// Adds a device of this size.
DeviceId add_device(Machine& machine, Device device, Bytes total);

// Adds a consumer with one resident, and what moving it takes.
ConsumerId add_consumer(Machine& machine, Consumer spec, const Costs& costs);

// Tells the core what moving residents costs, as if it had learned it in an earlier life.
void set_learned_costs(Machine& machine);

// What it takes where nobody measured: weights come from the disk with 2 GiB/s, from the page cache in 0.4 of
// that time and back from host memory in 0.15 of it (our own measurements, docs/performance.md); memory is
// given back in half a second.
Costs estimated_costs(Bytes footprint);
Costs costs_from_cold(Duration load_cold);

}  // namespace mgpu::replay
