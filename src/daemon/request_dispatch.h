// A request on a connection of the HTTP server goes to the control plane or to the gateway.
#pragma once

#include "api/api.h"
#include "config/live_config.h"
#include "gateway/gateway.h"
#include "http/server.h"

namespace mgpu::daemon {

// Finds out whether a web page sends the request that may not (auth/browser_guard.h) and who sends it
// (auth/authenticate.h), and gives it to the control plane if that has the path, else to the gateway, else
// answers 404 and names the paths that there are.
boost::asio::awaitable<void> dispatch_request(config::Snapshot config, api::Api& api,
                                              gateway::Gateway& gateway, http::Exchange& exchange);

}  // namespace mgpu::daemon
