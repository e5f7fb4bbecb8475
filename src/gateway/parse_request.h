// Step 1: what is asked, in which protocol, and with which wishes about the line. Other protocols begin here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Sets `route`, and `queue_options` where the request is not answered here. The route is set in any case, so
// that an error can be told in the caller's protocol. REQUIRES: find_route knows the request.
// Error: invalid_request, naming the header.
Result<void> parse_request(RequestContext& request);

}  // namespace mgpu::gateway
