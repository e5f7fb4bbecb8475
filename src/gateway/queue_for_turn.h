// Step 5: queues the request until its lease is granted and its resident is warm.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Sets `turn`; a request that needs no turn passes at once. The ticket is created only when the body is
// received, or as much of it as limits.body_memory allows: a slow client must not delay other requests. A
// disconnect of the client cancels the ticket. Errors: those of RequestBody::buffer_until_full and of
// Engine::acquire; cancelled (the client disconnected).
Awaitable<Result<void>> queue_for_turn(RequestContext& request);

// Whether the request may be sent a second time after `error` ended the first attempt: only once, only if
// memory ran out, and only if nothing was sent to the client and the whole body is buffered.
bool can_retry(const RequestContext& request, const Error& error);

// Queues for the second attempt with a larger footprint. A lease that is still held is queued again under its
// number; if it ended with its service, the request gets a new ticket. REQUIRES: can_retry. Errors: those of
// Engine::reacquire and Engine::acquire; cancelled.
Awaitable<Result<void>> queue_for_retry(RequestContext& request);

}  // namespace mgpu::gateway
