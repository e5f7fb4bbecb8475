// Which Ollama a request to Ollama's own paths goes to, where its AI model does not say it.
#pragma once

#include <string>
#include <vector>

#include "gateway/request_context.h"

namespace mgpu::gateway {

struct OllamaService {
  ConsumerId consumer{};
  std::string name{};
};

// The consumers with `service: ollama`, in the order of the configuration.
std::vector<OllamaService> ollama_services(const RequestContext& request);

// The name of the first one. Error: not_found (there is none).
Result<std::string> first_ollama_service(const RequestContext& request);

// Sets `target`, without a turn: the Ollama that has the AI model that the body names ("model", of a copy
// "source", of a creation "from"), else the first one. Errors: not_found (there is no Ollama), those of
// RequestBody::buffer_next_chunk.
Awaitable<Result<void>> resolve_ollama_service(RequestContext& request);

// Before a request that deletes an AI model is forwarded: unloads it. Without its files Ollama knows no name
// by which it could be told to unload, and would keep the memory until it ends.
Awaitable<void> unload_deleted(RequestContext& request);

}  // namespace mgpu::gateway
