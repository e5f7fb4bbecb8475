// A request that steers memory, instead of the steps from edit_request on: carried out as a load or an unload
// of the daemon's own, and answered in the words of its service. Nothing is forwarded.
#pragma once

#include "gateway/request_context.h"

namespace mgpu::gateway {

// A load takes a ticket, unless the AI model is warm. An unload waits for its running work as the service
// would, and evicts nothing else. REQUIRES: target.memory_request. Errors: those of queue_for_turn and
// Engine::unload; cancelled (the client disconnected).
Awaitable<Result<void>> steer_memory(RequestContext& request);

}  // namespace mgpu::gateway
