// The data plane: a request comes in, waits in the line for its consumer, is forwarded, and its response
// streams back byte for byte. A chain of steps: parse, authorize, resolve, edit, queue, forward, account.
// Each step is a file beside this one; request_context.h is what they pass on.
#pragma once

#include <string_view>

#include "gateway/engine_api.h"
#include "gateway/request_context.h"
#include "gateway/transport.h"

namespace mgpu::gateway {

class Gateway {
 public:
  Gateway(engine::Engine& engine, http::Client& client);  // both must outlive it
  // Fixed for the run: what all bodies together may take.
  Gateway(EngineApi engine_api, Connector connect);

  // Whether a request is the data plane's; all others are the control plane's.
  bool handles(std::string_view method, std::string_view target) const;

  // From the request's head to the end of its response. Every failure is told to the client in its own
  // protocol. The lease may outlive the request while the application still computes; the gateway must
  // outlive both. REQUIRES: handles().
  Awaitable<void> serve(http::Exchange& exchange, Principal principal);
  Awaitable<void> serve(Caller& caller);

  // Tells the client, in its own protocol, why its request goes no further. REQUIRES: handles().
  Awaitable<void> refuse(http::Exchange& exchange, Error error);

 private:
  GatewayContext context_;
};

}  // namespace mgpu::gateway
