// The machine of a replay: the initial world, and the real costs of its residents. The core does not know the
// real costs; it learns them as in a daemon.
#pragma once

#include <vector>

#include "sched/world.h"

namespace mgpu::replay {

// The real costs of a resident. Zero: takes no time.
struct Costs {
  Duration load_cold{};    // from disk
  Duration load_cached{};  // from the page cache
  Duration load_parked{};  // from host memory
  Duration unload{};
  Duration park{};
};

struct Machine {
  World world{};                       // devices, consumers, residents and limits; no readings or tickets
  std::vector<Bytes> device_memory{};  // by DeviceId
  std::vector<Costs> costs{};          // by ResidentId
  Bytes page_cache{};                  // capacity of the page cache (virtual_time.h, PageCache)
};

DeviceId add_device(Machine& machine, Device device, Bytes total);

// Adds a consumer with one resident; without a resident if it is lease_only.
ConsumerId add_consumer(Machine& machine, Consumer spec, const Costs& costs);

// Copies the real costs to the learned costs, as if the store had them.
void set_learned_costs(Machine& machine);

// Default costs: from disk with 2 GiB/s, from the page cache 0.4 of that time, from host memory 0.15 of it
// (measured, docs/performance.md); an unload takes half a second.
Costs estimated_costs(Bytes footprint);
Costs costs_from_cold(Duration load_cold);

}  // namespace mgpu::replay
