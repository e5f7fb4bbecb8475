// Step 4: makes the request that the service receives. Filters that edit requests belong here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Replaces the AI model's name in the body by the one that the service knows, and sets `service_head`: the
// client's head without hop-by-hop headers and the daemon's own headers, with X-Forwarded-For.
Result<void> edit_request(RequestContext& request);

}  // namespace mgpu::gateway
