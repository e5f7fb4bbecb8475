// Placement: on which of its devices a consumer runs.
#pragma once

#include "sched/world.h"

namespace mgpu {

// The consumer's current device while it holds memory or has tickets there. Otherwise the device that the
// request names, if any. Otherwise the one where the evictions for it cost the least expected reloading, then
// the one with the shortest line, then the first in the configuration.
// REQUIRES: the request names a consumer.
DeviceId choose_device(const World& world, const TicketRequest& request);

}  // namespace mgpu
