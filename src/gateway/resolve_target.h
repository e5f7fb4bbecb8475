// Step 3: determines the consumer and its AI model, from the path or from the "model" in the body.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Sets `target`; reads only as much of the body as needed. Errors: not_found (no such consumer or AI model,
// with the known names), not_supported (a consumer without a service), invalid_request (the body names no AI
// model, or is malformed before it), and those of RequestBody::buffer_next_chunk.
Awaitable<Result<void>> resolve_target(RequestContext& request);

}  // namespace mgpu::gateway
