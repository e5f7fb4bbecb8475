// A request on a connection of the HTTP server goes to the control plane or to the gateway.
#pragma once

#include "api/api.h"
#include "gateway/gateway.h"
#include "http/server.h"

namespace mgpu::daemon {

// Finds out who sends the request (auth/authenticate.h), and gives it to the control plane if that has the
// path, else to the gateway, else answers 404 and names the paths that there are.
boost::asio::awaitable<void> dispatch_request(api::Api& api, gateway::Gateway& gateway,
                                              http::Exchange& exchange);

}  // namespace mgpu::daemon
