// Requests that the gateway answers itself: the listings of AI models, and wrong methods. They load nothing
// and do not queue.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// REQUIRES: is_answered_here(route.kind). Errors: not_found (no such AI model), cancelled.
Awaitable<Result<void>> respond_locally(RequestContext& request);

// POST /api/show, which Ollama's clients send before a chat: forwarded to the service if it is up and
// supports it, otherwise answered by the gateway. REQUIRES: the target is resolved and the request edited.
// Errors: those of forward, once part of the service's response was sent to the client.
Awaitable<Result<void>> respond_ollama_show(RequestContext& request);

}  // namespace mgpu::gateway
