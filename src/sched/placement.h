// On which of its devices a consumer that may choose is served.
#pragma once

#include "sched/world.h"

namespace mgpu {

// Where it is, while anything of it is there or waits there. Else the device on which least is lost: room for
// what is asked for without sending anybody away, then the cheapest to bring back, then the shortest line. Of
// equals the first that the configuration names. Who asks for one device gets that one, unless the consumer
// has something elsewhere.
// REQUIRES: the ask names a consumer.
DeviceId choose_device(const World& world, const TicketRequest& request);

}  // namespace mgpu
