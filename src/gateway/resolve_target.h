// Step 3: which consumer the request is for, and which of its AI models: from the path, or from the "model"
// in the body.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Sets `target`; reads no more of the body than that takes. Errors: not_found (no such consumer or AI model,
// naming the known ones), not_supported (a consumer without a service), invalid_request (a body without an AI
// model, or broken before it), and those of RequestBody::buffer_next_chunk.
Awaitable<Result<void>> resolve_target(RequestContext& request);

}  // namespace mgpu::gateway
