// What services list and the driver shows wins over what the core remembers (ResidentFound): residents that
// were unloaded, loaded, parked or deleted without an effect of the core.
//
// Running leases go on in any case. If their resident was dropped meanwhile, the service loads it again
// inside the request; until then it counts as warm, so that its bytes stay reserved.
#pragma once

#include "sched/world.h"

namespace mgpu {

// Whether the event would change the world. A listing that only repeats what the core knows is no event.
bool is_news(const World& world, const ResidentFound& found);

void apply_found(World& world, Effects& out, const ResidentFound& found);

// Whether a resident of the device loads by itself.
bool has_self_load(const World& world, DeviceId device);

// Fails those that have not ended within their consumer's load_limit, so that no ticket holds its turn for
// one that hangs.
void expire_self_loads(World& world, DeviceId device);

// When the next one expires; kNever without one.
Instant next_self_load_expiry(const World& world, DeviceId device);

// The error of a ticket whose AI model is gone.
Error gone_error(const Registry& registry, const Resident& resident);

}  // namespace mgpu
