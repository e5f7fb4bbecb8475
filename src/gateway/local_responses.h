// Requests that the gateway answers itself: the listings of AI models, and wrong methods. They load nothing
// and do not queue.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Whether the gateway answers the request itself, without a consumer.
bool is_answered_locally(const RequestContext& request);

// REQUIRES: is_answered_locally(request). Errors: not_found (no such AI model), cancelled.
Awaitable<Result<void>> respond_locally(RequestContext& request);

// Whether a request of Ollama's protocol is forwarded if its service can answer it, and answered by the
// gateway if not: POST /api/show, which Ollama's clients send before a chat, and GET /api/version.
bool may_be_forwarded(RouteKind kind);

// Answers such a request. REQUIRES: the target is resolved and the request edited. Errors: those of forward,
// once part of the service's response was sent to the client.
Awaitable<Result<void>> forward_or_respond(RequestContext& request);

// 405 with the right method, route.argument; for HEAD where GET computes: GET. Error: cancelled.
Awaitable<Result<void>> respond_wrong_method(RequestContext& request);

}  // namespace mgpu::gateway
