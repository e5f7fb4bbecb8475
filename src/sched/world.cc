#include "sched/world.h"

#include <utility>

namespace mgpu {

DeviceId add_device(World& world, Device device) {
  const DeviceId id{world.registry.devices.size()};
  world.registry.devices.push_back(std::move(device));
  world.registry.readings.push_back({.device = id});
  world.registry.bare_reserved.emplace_back();
  world.lines.emplace_back();
  return id;
}

}  // namespace mgpu
