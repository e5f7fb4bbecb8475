// Part of step 3: reads the body of a request that may steer memory (service/memory_request.h), and what it
// says about how long its AI model stays loaded.
#pragma once

#include "gateway/request_context.h"
#include "service/request_table.h"

namespace mgpu::gateway {

// Reads the body to its end. Sets `target.memory_request` if the request steers; otherwise it computes, and
// `target.model` is set if the body names one, `keep_alive` and `keep_alive_edit` if `kind` is Ollama: Ollama
// is told to keep the AI model for ever, since the line decides when it is unloaded. `kind`: whose words the
// client uses. Errors: invalid_request, not_supported, and those of RequestBody::buffer_next_chunk.
Awaitable<Result<void>> read_steering(RequestContext& request, const config::ServiceConfig& kind,
                                      const service::RequestMatch& match);

}  // namespace mgpu::gateway
