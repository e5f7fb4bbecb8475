// advance: what a device's line does next, now that something changed.
#pragma once

#include "sched/world.h"

namespace mgpu {

// Carries the line of `device` as far as it goes without another event.
void advance_line(World& world, Effects& out, DeviceId device);

// When `device` wants to be looked at again at the latest.
Instant next_wakeup(const World& world, DeviceId device);

}  // namespace mgpu
