// Step 6: the request goes to the service, and its response comes back to the client.
//
// Three coroutines share the two connections: the body goes out (send_body.h), the response comes back
// (relay_response.h), and the client's disconnect is awaited. Whichever ends first ends the others, and all
// have ended before anything else touches either connection.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Makes one attempt; sets `attempt` anew. The attempt is stopped when the lease ends (the service died) and
// when it takes longer than limits.run_limit.
// Errors: out_of_memory, service_down, cancelled (the client went away), request_timeout (it sends too
// slowly), too_large, those of Caller::read, and those with which the engine ends a lease.
Awaitable<Result<void>> forward(RequestContext& request);

}  // namespace mgpu::gateway
