// Requests that the gateway answers by itself: the listings of AI models, and wrong methods. Nothing loads
// and nothing waits for them.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// REQUIRES: is_answered_here(route.kind). Errors: not_found (no such AI model), cancelled.
Awaitable<Result<void>> respond_locally(RequestContext& request);

// POST /api/show, which Ollama's clients send before they chat: the service answers if it is up and can, the
// gateway otherwise. REQUIRES: the target is resolved and the request edited. Errors: those of forward, once
// the client has seen something of the service's response.
Awaitable<Result<void>> respond_ollama_show(RequestContext& request);

}  // namespace mgpu::gateway
