// On which of its devices a consumer that may choose is served.
#pragma once

#include <optional>

#include "sched/world.h"

namespace mgpu {

// Where it is, while anything of it is there or waits there. Else the device on which least is lost: room for
// the resident without sending anybody away, then the cheapest to bring back, then the shortest line. Of
// equals the first that the configuration names.
DeviceId choose_device(const World& world, ConsumerId consumer, std::optional<ResidentId> resident);

}  // namespace mgpu
