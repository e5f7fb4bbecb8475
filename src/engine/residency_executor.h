// Executes the core's decisions about residents: loads, evictions, read-ahead. Each load and each rung of an
// eviction results in exactly one event.
//
// Thread rule: the strand.
#pragma once

#include <functional>
#include <utility>

#include "domain/effect.h"
#include "engine/application_set.h"
#include "engine/core_loop.h"
#include "engine/device_observer.h"
#include "engine/target_resolver.h"
#include "engine/task_spawner.h"
#include "engine/weights_cache.h"

namespace mgpu::engine {

class ResidencyExecutor {
 public:
  // The parts that it uses; all must outlive it.
  struct Parts {
    CoreLoop& loop;
    TaskSpawner& tasks;
    ApplicationSet& applications;
    DeviceObserver& devices;
    WeightsCache& weights;
    TargetResolver& targets;
    std::function<void(ConsumerId)> on_ended{};  // after the event of a load or of a rung
  };
  explicit ResidencyExecutor(Parts parts) : parts_(std::move(parts)) {}

  void execute(const Load& load);    // ends with LoadEnded
  void execute(const Evict& evict);  // one rung; ends with RungEnded
  void execute(const ReadAhead& read_ahead) { parts_.weights.read_ahead(read_ahead.resident); }

 private:
  const Parts parts_;
};

}  // namespace mgpu::engine
