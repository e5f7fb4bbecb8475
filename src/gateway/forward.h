// Step 6: sends the request to the service and relays its response to the client.
//
// Three coroutines share the two connections: one sends the body (send_body.h), one relays the response
// (relay_response.h), and one waits for the client's disconnect. The first that ends cancels the others, and
// all have ended before any other code uses either connection.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Makes one attempt; resets `attempt`. The attempt is stopped when the lease ends (the service died) and when
// it exceeds limits.run_limit. Errors: out_of_memory, service_down, cancelled (the client disconnected),
// request_timeout (it sends too slowly), too_large, those of Caller::read, and those with which the engine
// ends a lease.
Awaitable<Result<void>> forward(RequestContext& request);

// The same for a request that needs no turn. A service that is not up is started if that takes no device
// memory; otherwise the error is unavailable, and says what loads it. After a change of its files the service
// is listed again.
Awaitable<Result<void>> forward_free(RequestContext& request);

}  // namespace mgpu::gateway
