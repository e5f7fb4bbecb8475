// Step 2: whether the principal may send the request. Scopes and limits of API keys belong here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Adds the principal to `queue_options`. Every client that reaches the gateway is authorized for all of it.
Result<void> authorize(RequestContext& request);

}  // namespace mgpu::gateway
