// The state of one request on its way through the steps of the gateway (gateway.cc). Each part is written by
// the step that stands above it, and read by the later ones.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "config/live_config.h"
#include "gateway/body_buffer.h"
#include "gateway/engine_api.h"
#include "gateway/model_finder.h"
#include "gateway/queue_options.h"
#include "gateway/request_body.h"
#include "gateway/route.h"
#include "gateway/transport.h"

namespace mgpu::gateway {

// What all requests share. Outlives each of them, and what they leave running (account.h).
struct GatewayContext {
  EngineApi engine_api{};
  Connector connect{};
  std::shared_ptr<BodyBudget> body_budget{};  // shared with the bodies, see BodyBudget
};

// What was asked for.
struct RequestTarget {
  engine::Target resolved{};
  std::optional<ModelFinder> model{};  // found the AI model's name in the body; none: the path was enough
  bool needs_turn = false;
};

// The turn that was waited for. `ticket` and the times stay when the lease is given back.
struct Turn {
  std::optional<LeaseHandle> lease{};  // none: not granted, not needed, or given back
  std::uint64_t ticket = 0;            // 0: never granted
  Duration waited{}, loading{};
  bool retried = false;  // the service ran out of memory, and the request is sent a second time

  void set_lease(LeaseHandle granted) {
    ticket = granted.ticket;
    waited = granted.waited;
    loading = granted.loading;
    lease = std::move(granted);
  }
};

// One attempt to have the service do the work.
struct Attempt {
  std::chrono::steady_clock::time_point started{};
  std::optional<Upstream> upstream{};
  bool body_sent = false;              // the service has taken all of it
  bool head_sent = false;              // the client has seen something of the response
  std::string stream_type{};           // Content-Type of a response that may end with an error in the stream
  std::optional<Error> stop_reason{};  // the attempt was stopped, and why
  std::optional<Error> failure{};      // how the response ended, if not well

  // The work can't go on, and it is not the service's fault. The first reason counts.
  void stop(Error why) {
    if (!stop_reason) stop_reason = std::move(why);
    if (upstream) upstream->abort();
  }
};

struct RequestContext {
  RequestContext(const GatewayContext& shared, Caller& client)
      : gateway(shared),
        config(shared.engine_api.config()),
        caller(client),
        body(config->limits, shared.body_budget) {}

  config::ConsumerSnapshot consumer() const { return gateway.engine_api.config_of(target.resolved.consumer); }

  const GatewayContext& gateway;
  const config::Snapshot config;  // as the request arrived; also if it is replaced meanwhile
  Caller& caller;

  // parse_request
  Route route{};
  QueueOptions queue_options{};  // authorize adds who asks

  // resolve_target reads what it needs of the body, queue_for_turn and forward the rest.
  RequestBody body;
  RequestTarget target{};

  // edit_request
  RequestHead service_head{};
  bool is_websocket_upgrade = false;

  // queue_for_turn
  Turn turn{};

  // forward
  Attempt attempt{};
  bool resent = false;           // over a new connection, since a kept one was dead
  bool ended_by_engine = false;  // `cancelled` comes from the engine: the client is still there to be told
};

}  // namespace mgpu::gateway
