// advance_line: makes all decisions for a device's line that are possible after a change.
#pragma once

#include "sched/world.h"

namespace mgpu {

// Advances the line of `device` as far as possible without another event.
void advance_line(World& world, Effects& out, DeviceId device);

// The latest time at which the line of `device` must be advanced again; kNever if time alone changes nothing.
Instant next_wakeup(const World& world, DeviceId device);

}  // namespace mgpu
