// Finds out from readings alone that a service which does not list what it holds has dropped it: its memory
// was there, and is gone while its process lives and nothing of the daemon happens to it. Values only.
#pragma once

#include "registry/registry.h"

namespace mgpu::engine {

class MemoryDrop {
 public:
  // Call after each reading of the consumer's device. Returns whether its only resident has just turned out
  // to be dropped. Never for consumers with several residents, and for computed readings.
  bool observe(const Registry& registry, ConsumerId consumer);

  static constexpr int kLowReadings = 3;  // in a row, so that one wrong reading is no drop

 private:
  Instant warm_since_{};
  Bytes peak_{};  // since then
  int low_readings_ = 0;
};

}  // namespace mgpu::engine
