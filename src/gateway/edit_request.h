// Step 4: what the service gets to see. Filters that edit requests belong here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Writes the name that the service knows into the body, and sets `service_head`: the client's head without
// the headers of its connection and those that are for the daemon, with X-Forwarded-For.
Result<void> edit_request(RequestContext& request);

}  // namespace mgpu::gateway
