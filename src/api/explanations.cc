// GET /v1/tickets/{ticket}/explanation and /v1/explain/next: why a ticket waited, and what a request would
// meet now.
#include <algorithm>
#include <utility>

#include "api/api_context.h"
#include "api/explanation_json.h"
#include "api/status.h"
#include "domain/enum_names.h"
#include "domain/principal.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

RenderContext make_render_context(const engine::Engine& engine) {
  return {.registry = engine.world().registry,
          .journal = engine.journal().entries(),
          .wall = make_wall_clock(engine),
          .user_labels = make_user_labels(engine)};
}

Result<TicketRequest> ask_from_query(const ApiRequest& request, engine::Engine& engine) {
  const std::string name = query_value(request, "consumer");
  if (name.empty())
    return fail(ErrorCode::invalid_request, "the query names no consumer: add ?consumer=NAME");
  const std::string user = query_value(request, "user");
  if (user.size() > kMaxUserLength)
    return fail(ErrorCode::invalid_request, "user: has " + std::to_string(user.size()) +
                                                " bytes, more than the " + std::to_string(kMaxUserLength) +
                                                " that are allowed");
  const auto target = engine.resolve(name);
  if (!target) return std::unexpected(target.error());
  TicketRequest ask{.device = engine.world().registry[target->consumer].spec.device,
                    .consumer = target->consumer,
                    .resident = target->resident,
                    .user = engine.user_of({.user = user})};
  if (const std::string priority = query_value(request, "priority"); !priority.empty()) {
    ask.priority = priority_from_name(priority);
    if (!ask.priority)
      return fail(ErrorCode::invalid_request,
                  "priority: \"" + priority + "\" is not one of realtime, interactive, normal, batch");
  }
  return ask;
}

}  // namespace

asio::awaitable<HandlerResult> explain_ticket(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto number = number_from_path(request, "ticket");
  if (!number) co_return std::unexpected(number.error());
  const TicketId id{*number};
  const World& world = context.engine.world();
  const auto current = world.tickets.find(id);
  const auto explanation =
      explain::explain(context.engine.journal().entries(), world.registry, id,
                       current == world.tickets.end() ? nullptr : &current->second, context.engine.now());
  if (const auto of_this_start = context.engine.check_of_this_start(id); !explanation && !of_this_start)
    co_return std::unexpected(of_this_start.error());
  if (!explanation)
    co_return fail(ErrorCode::not_found,
                   "nothing is known of ticket " + std::to_string(id.value) +
                       ": it never existed, or the journal (limits.events) has dropped it");
  co_return json_response(explanation_json(*explanation, make_render_context(context.engine)));
}

asio::awaitable<HandlerResult> explain_next(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto ask = ask_from_query(request, context.engine);
  if (!ask) co_return std::unexpected(ask.error());
  World copy = context.engine.world();
  copy.now = std::max(copy.now, context.engine.now());
  co_return json_response(
      what_if_json(explain::what_if(std::move(copy), *ask), make_render_context(context.engine)));
}

}  // namespace mgpu::api
