// The control plane and the gateway, each fitted to the http room's connections.
#pragma once

#include "api/api.h"
#include "gateway/gateway.h"
#include "http/server.h"

namespace mgpu::daemon {

// One request: the control plane's, else the gateway's, else a 404 that names the entrances.
boost::asio::awaitable<void> dispatch_request(api::Api& api, gateway::Gateway& gateway,
                                              http::Exchange& exchange);

}  // namespace mgpu::daemon
