// Sends the request's body to the service: first the buffered part, then what the client still sends.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Returns only when the client has disconnected; the caller cancels it when the response is complete. While
// other requests wait for the turn, a client slower than limits.min_upload_rate stops the attempt
// (request_timeout). A body that is malformed or larger than limits.max_body stops it, too.
Awaitable<void> send_body(RequestContext& request);

}  // namespace mgpu::gateway
