// Step 1: determines the route, the protocol and the queue options. Further protocols start here.
#pragma once

#include <optional>

#include "gateway/request_context.h"

namespace mgpu::gateway {

// None: not a request for the gateway.
std::optional<Route> find_route(const RequestHead& head);

// Sets `route`, and `queue_options` if the request is not answered locally. `route` is set in any case, so
// that an error can be sent in the client's protocol. From here on the body is read decoded (decode_body.h).
// REQUIRES: find_route knows the request. Errors: invalid_request, naming the header; those of decode_body.
Result<void> parse_request(RequestContext& request);

}  // namespace mgpu::gateway
