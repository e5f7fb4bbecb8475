// Step 2: who asks, and whether they may. Scopes and limits of keys belong here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Adds to `queue_options` who asks. Every client that reaches the gateway may use all of it.
Result<void> authorize(RequestContext& request);

}  // namespace mgpu::gateway
