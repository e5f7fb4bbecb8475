// The state of one request in the steps of the gateway (gateway.cc). Each member is written by the step named
// above it, and read by the later ones.
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
#include "service/memory_request.h"

namespace mgpu::gateway {

// Shared by all requests. Outlives each of them, and the coroutines that they leave running (account.h).
struct GatewayContext {
  EngineApi engine_api{};
  Connector connect{};
  std::shared_ptr<BodyBudget> body_budget{};  // shared with the bodies, see BodyBudget
};

// The resolved target of the request, and what it means there.
struct RequestTarget {
  struct BodyEdit {
    ByteRange range{};
    std::string replacement{};
  };

  engine::Target resolved{};
  // Has found the AI model's name in the body; none: the path or the query has it.
  std::optional<ModelFinder> model{};
  std::string query_model{};  // the AI model's name in the query, if it is named there
  service::RequestMeaning meaning = service::RequestMeaning::computes;
  bool needs_turn = false;
  std::optional<service::MemoryRequest> memory_request{};  // then it is not forwarded
  std::optional<engine::Target> deleted{};                 // the AI model whose files the request deletes
  std::optional<Duration> keep_alive{};                    // that the client wishes after the work
  std::optional<BodyEdit> keep_alive_edit{};               // what the service gets instead
};

// The granted turn. `ticket` and the times are kept after the lease is released.
struct Turn {
  std::optional<LeaseHandle> lease{};  // none: not granted, not needed, or released
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

// One attempt to forward the request to the service.
struct Attempt {
  std::chrono::steady_clock::time_point started{};
  std::optional<Upstream> upstream{};
  bool reached = false;                // the service has accepted the connection
  bool body_sent = false;              // the service has received all of it
  bool head_sent = false;              // part of the response was sent to the client
  std::string stream_type{};           // Content-Type of a response that can carry an error at its end
  std::optional<Error> stop_reason{};  // why the attempt was stopped, if it was
  std::optional<Error> failure{};      // how the response failed, if it did

  // Stops the attempt for a reason that is not the service's fault. The first reason is kept.
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
  const config::Snapshot config;  // current when the request arrived; later changes don't apply
  Caller& caller;

  // parse_request
  Route route{};
  QueueOptions queue_options{};  // authorize adds the principal

  // resolve_target reads as much of the body as it needs, queue_for_turn and forward read the rest.
  RequestBody body;
  RequestTarget target{};
  bool is_websocket_upgrade = false;

  // edit_request
  RequestHead service_head{};

  // queue_for_turn
  Turn turn{};

  // forward
  Attempt attempt{};
  bool resent = false;           // over a new connection, since the pooled one was closed
  bool ended_by_engine = false;  // the engine cancelled: the client is still connected and gets the error
};

}  // namespace mgpu::gateway
