// Relays the service's response to the client. A response that reports that device memory ran out is held
// back, so that the request can be sent again.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Returns when the response is complete or has failed (`attempt.failure`). At most 64 KiB of an error
// response are held back, to check for an out-of-memory error. After a 101 both connections become a tunnel.
Awaitable<void> relay_response(RequestContext& request);

}  // namespace mgpu::gateway
