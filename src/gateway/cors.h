// Cross-origin requests of browsers (the Fetch standard's CORS protocol): which pages of other origins may
// use the data plane. The daemon alone decides, by the configuration's `origins`; it answers preflights
// itself, and headers by which a service would decide are replaced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/transport.h"

namespace mgpu::gateway {

// Whether a page asks by this request if it may send another one: OPTIONS with an Origin.
bool is_preflight(const RequestHead& head);

// The response to a preflight: 204, and what is allowed if its origin is; otherwise 403.
ResponseHead preflight_response(const std::vector<std::string>& allowed, const RequestHead& head);

// Makes `caller` send all its responses with the headers for its origin. Requests without an Origin keep the
// service's own.
void add_cors_headers(const std::vector<std::string>& allowed, Caller& caller);

}  // namespace mgpu::gateway
