// Step 7: completes every request, whatever its result: releases the lease, and ends the response or sends an
// error in the client's protocol. Metrics belong here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// `result`: of the other steps. Releases the lease before the client has received the last bytes. If the
// application still computes after its response, the lease is released when that ends, and outlives the
// request.
Awaitable<void> account(RequestContext& request, Result<void> result);

// The response headers about the queue: Server-Timing and X-Mgpu-Ticket once a ticket was granted,
// X-Mgpu-Retried when the request was sent more than once.
Headers account_headers(const RequestContext& request);

}  // namespace mgpu::gateway
