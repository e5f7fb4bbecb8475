// Carries out what the core decides about residents: loads, evictions, reading ahead. Each load and each rung
// of an eviction is answered by exactly one event.
//
// Thread rule: the strand.
#pragma once

#include "domain/effect.h"
#include "engine/application_set.h"
#include "engine/core_loop.h"
#include "engine/device_observer.h"
#include "engine/task_spawner.h"
#include "engine/weights_cache.h"

namespace mgpu::engine {

class ResidencyExecutor {
 public:
  // What it works with; all of it must outlive it.
  struct Parts {
    CoreLoop& loop;
    TaskSpawner& tasks;
    ApplicationSet& applications;
    DeviceObserver& devices;
    WeightsCache& weights;
  };
  explicit ResidencyExecutor(Parts parts) : parts_(parts) {}

  void execute(const Load& load);    // answered by LoadEnded
  void execute(const Evict& evict);  // one rung: answered by RungEnded
  void execute(const ReadAhead& read_ahead) { parts_.weights.read_ahead(read_ahead.resident); }

 private:
  const Parts parts_;
};

}  // namespace mgpu::engine
