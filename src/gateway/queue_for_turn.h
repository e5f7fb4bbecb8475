// Step 5: the request waits in the line until its consumer has the turn, and its resident is warm.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// Sets `turn`; a request that needs no turn passes at once. The request asks for its turn only when its body
// is here, or as much of it as memory may hold: a client that sends slowly makes no other wait. A client that
// goes away takes its ticket out of the line.
// Errors: those of RequestBody::buffer_until_full and of Engine::acquire; cancelled (the client went away).
Awaitable<Result<void>> queue_for_turn(RequestContext& request);

// Whether the same request may be sent a second time after `error` ended the first attempt: only once, only
// when memory ran out, and only if the client has seen nothing and the whole body is at hand.
bool can_retry(const RequestContext& request, const Error& error);

// Waits for a second attempt, with more room asked for. A lease that is still held goes back into the line
// under its number; one that ended with its service can't, and the request takes a new ticket.
// REQUIRES: can_retry. Errors: those of Engine::reacquire and Engine::acquire; cancelled.
Awaitable<Result<void>> queue_for_retry(RequestContext& request);

}  // namespace mgpu::gateway
