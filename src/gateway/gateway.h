// The data plane: a request comes in, waits in the line for its consumer, is forwarded, and its answer
// streams back byte for byte. Here stands the story; which bytes mean what is in the files beside it.
#pragma once

#include <memory>
#include <string_view>

#include "config/config.h"
#include "gateway/body_buffer.h"
#include "gateway/engine_api.h"
#include "gateway/model_finder.h"
#include "gateway/route.h"
#include "gateway/transport.h"
#include "gateway/upload_rate_monitor.h"

namespace mgpu::gateway {

class Gateway {
 public:
  Gateway(engine::Engine& engine, http::Client& client);  // both must outlive it
  Gateway(EngineApi engine_api, Connector connect, config::LimitsConfig limits);

  // Whether a request is the data plane's; all others are the control plane's.
  bool handles(std::string_view method, std::string_view target) const;

  // From the request's head to the end of its answer; REQUIRES takes(). Every failure is told to the caller
  // in its own protocol. A lease may outlive it while the application still computes. `this` must outlive
  // that.
  Awaitable<void> serve(http::Exchange& exchange);
  Awaitable<void> serve(Caller& caller);

 private:
  struct RequestContext;  // one request on its way

  Awaitable<Result<void>> resolve_target(RequestContext& context);
  Awaitable<Result<void>> find_model(RequestContext& context, ModelFinder& finder);
  Awaitable<Result<std::string>> buffer_next_chunk(RequestContext& context);
  Awaitable<Result<void>> buffer_body(RequestContext& context);
  Error unknown_consumer_error(const std::string& name) const;
  Awaitable<Result<LeaseHandle>> wait_in_line(RequestContext& context);
  Awaitable<Result<void>> forward(RequestContext& context);
  Awaitable<Result<void>> retry_after_out_of_memory(RequestContext& context);
  Awaitable<void> send_body(RequestContext& context);
  Awaitable<void> pump_body(RequestContext& context);
  Awaitable<void> watch_upload_rate(RequestContext& context);
  Awaitable<void> relay_response(RequestContext& context);
  Awaitable<void> tunnel(RequestContext& context);
  Awaitable<Result<std::string>> check_out_of_memory(RequestContext& context, const ResponseHead& head);
  Awaitable<void> release_when_idle(LeaseHandle lease, ConsumerId consumer);
  Awaitable<void> respond_locally(Caller& caller, Route route);
  Awaitable<void> respond_ollama_show(RequestContext& context);
  Awaitable<void> send_error(RequestContext& context, Error error);

  EngineApi engine_api_;
  Connector connect_;
  config::LimitsConfig limits_;
  std::shared_ptr<BodyBudget> body_budget_;  // of all requests that wait; shared with each
};

}  // namespace mgpu::gateway
