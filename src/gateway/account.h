// Step 7: the end of every request, however it went: the turn goes back, the client gets the end of its
// response or an error in its own protocol. Metrics belong here.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// `result`: how the other steps ended. The turn goes back before the client has taken the last bytes, or,
// when the application still computes after its response, once it does no more: then the lease outlives the
// request.
Awaitable<void> account(RequestContext& request, Result<void> result);

// What the client is told of its turn: Server-Timing and X-Mgpu-Ticket once it was granted, X-Mgpu-Retried
// when the request was sent more than once.
Headers account_headers(const RequestContext& request);

}  // namespace mgpu::gateway
