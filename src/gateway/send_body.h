// The request's body on its way to the service: first what was buffered, then what the client still sends.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Returns only when the client is gone; the caller cancels it when the response is complete. While others
// wait for the turn, a client that sends less than limits.min_upload_rate stops the attempt
// (request_timeout), as does a body that is larger than limits.max_body, or broken.
Awaitable<void> send_body(RequestContext& request);

}  // namespace mgpu::gateway
