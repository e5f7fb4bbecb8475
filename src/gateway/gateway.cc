#include "gateway/gateway.h"

#include <memory>
#include <utility>

#include "gateway/account.h"
#include "gateway/authorize.h"
#include "gateway/cors.h"
#include "gateway/edit_request.h"
#include "gateway/forward.h"
#include "gateway/local_responses.h"
#include "gateway/ollama_services.h"
#include "gateway/parse_request.h"
#include "gateway/queue_for_turn.h"
#include "gateway/resolve_target.h"
#include "gateway/steer_memory.h"

namespace mgpu::gateway {
namespace {

// Runs all steps but the last. The first error ends them.
Awaitable<Result<void>> run_steps(RequestContext& request) {
  Result<void> done = parse_request(request);
  if (done) done = authorize(request);
  if (!done) co_return done;
  if (is_answered_locally(request)) co_return co_await respond_locally(request);

  done = co_await resolve_target(request);
  if (!done) co_return done;
  if (request.target.meaning == service::RequestMeaning::refused_head)
    co_return co_await respond_wrong_method(request);
  if (request.target.memory_request) co_return co_await steer_memory(request);
  done = edit_request(request);
  if (!done) co_return done;
  if (may_be_forwarded(request.route.kind)) co_return co_await forward_or_respond(request);

  if (request.target.deleted) co_await unload_deleted(request);
  if (!request.target.needs_turn) co_return co_await forward_free(request);

  // From here until account() the request holds a place in the queue, and later a lease.
  done = co_await queue_for_turn(request);
  if (done) done = co_await forward(request);
  if (!done && can_retry(request, done.error())) {
    done = co_await queue_for_retry(request);
    if (done) done = co_await forward(request);
  }
  co_return done;
}

Awaitable<void> respond_to_preflight(RequestContext& request) {
  ResponseHead response = preflight_response(request.config->origins, request.caller.head);
  Result<void> sent = co_await request.caller.send_head(std::move(response));
  if (!sent) co_return request.caller.abort();
  co_await request.caller.finish();
}

}  // namespace

Awaitable<void> Gateway::serve(Caller& caller) {
  RequestContext request(context_, caller);
  if (is_preflight(caller.head)) co_return co_await respond_to_preflight(request);
  add_cors_headers(request.config->origins, caller);
  Result<void> result = co_await run_steps(request);
  co_await account(request, std::move(result));
}

Awaitable<void> Gateway::serve(http::Exchange& exchange, Principal principal) {
  Caller caller = make_caller(exchange, std::move(principal));
  co_await serve(caller);
}

Awaitable<void> Gateway::refuse(http::Exchange& exchange, Error error) {
  Principal unknown;
  Caller caller = make_caller(exchange, std::move(unknown));
  RequestContext request(context_, caller);
  request.route = *find_route(caller.head);
  Result<void> refused = std::unexpected(std::move(error));
  co_await account(request, std::move(refused));
}

bool Gateway::handles(const RequestHead& head) const { return find_route(head).has_value(); }

Gateway::Gateway(EngineApi engine_api, Connector connect)
    : context_{.engine_api = std::move(engine_api), .connect = std::move(connect)} {
  const config::Snapshot config = context_.engine_api.config();
  context_.body_budget = std::make_shared<BodyBudget>(
      BodyBudget{.memory_left = static_cast<std::uint64_t>(config->limits.body_memory_total.count),
                 .disk_left = static_cast<std::uint64_t>(config->limits.spool_total.count)});
}

Gateway::Gateway(engine::Engine& engine, http::Client& client)
    : Gateway(make_engine_api(engine), make_connector(client)) {}

}  // namespace mgpu::gateway
