// A GET that the gateway sends to a service by itself, for an answer that it makes from several.
#pragma once

#include <string>

#include "gateway/request_context.h"

namespace mgpu::gateway {

// The body of the service's answer to GET `path`. Takes no turn and starts nothing. `client_headers` are sent
// along: they may carry a key that the service wants. Errors: service_down (not up, not reachable, no 200,
// not within `limit`, over kMaxFetchedAnswer).
Awaitable<Result<std::string>> fetch_answer(const GatewayContext& gateway, ConsumerId consumer,
                                            std::string path, Headers client_headers, Duration limit);

inline constexpr std::size_t kMaxFetchedAnswer = std::size_t{16} << 20;

}  // namespace mgpu::gateway
