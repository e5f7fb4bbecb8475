// The data plane: receives a request, queues it for its consumer, forwards it, and streams the response back
// unchanged. A chain of steps: parse, authorize, resolve, edit, queue, forward, account. Each step has its
// own file in this folder; request_context.h is the state that they share.
#pragma once

#include "gateway/engine_api.h"
#include "gateway/request_context.h"
#include "gateway/transport.h"

namespace mgpu::gateway {

class Gateway {
 public:
  Gateway(engine::Engine& engine, http::Client& client);  // both must outlive it
  // Fixed for the run: the limits for all bodies together.
  Gateway(EngineApi engine_api, Connector connect);

  // Whether a request belongs to the data plane; all others belong to the control plane.
  bool handles(const RequestHead& head) const;

  // Serves a request from its head to the end of its response. Errors are sent to the client in its own
  // protocol. The lease may outlive the request while the application still computes; the gateway must
  // outlive both. REQUIRES: handles().
  Awaitable<void> serve(http::Exchange& exchange, Principal principal);
  Awaitable<void> serve(Caller& caller);

  // Responds with `error` in the client's protocol. REQUIRES: handles().
  Awaitable<void> refuse(http::Exchange& exchange, Error error);

 private:
  GatewayContext context_;
};

}  // namespace mgpu::gateway
