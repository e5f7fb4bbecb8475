// Why a ticket waited, and what would happen if somebody asked now.
#include <algorithm>
#include <utility>

#include "api/desk.h"
#include "api/explanation_json.h"
#include "api/status.h"
#include "domain/enum_names.h"
#include "engine/user_table.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

Wording wording_of(const engine::Engine& engine) {
  return {.registry = engine.world().registry,
          .journal = engine.journal().entries(),
          .wall = wall_of(engine),
          .user_shown = user_shown_by(engine)};
}

std::string query_of(const Call& call, const std::string& key) {
  const auto found = call.query.find(key);
  return found == call.query.end() ? "" : found->second;
}

Result<TicketRequest> ask_of(const Call& call, engine::Engine& engine) {
  const std::string name = query_of(call, "consumer");
  if (name.empty()) return fail(ErrorCode::invalid_request, "say who asks: ?consumer=NAME");
  const std::string user = query_of(call, "user");
  if (user.size() > engine::kMaxUserLength)
    return fail(ErrorCode::invalid_request, "user: is longer than " + std::to_string(engine::kMaxUserLength));
  const auto target = engine.resolve(name);
  if (!target) return std::unexpected(target.error());
  TicketRequest ask{.device = engine.world().registry[target->consumer].spec.device,
                    .consumer = target->consumer,
                    .resident = target->resident,
                    .user = engine.user_number(user, "")};
  if (const std::string priority = query_of(call, "priority"); !priority.empty()) {
    ask.priority = priority_from_name(priority);
    if (!ask.priority)
      return fail(ErrorCode::invalid_request,
                  "priority: \"" + priority + "\" is not one of realtime, interactive, normal, batch");
  }
  return ask;
}

}  // namespace

asio::awaitable<Answer> explain_ticket(Desk& desk, Call call, Outlet) {
  const auto number = number_in(call, "ticket");
  if (!number) co_return std::unexpected(number.error());
  const TicketId id{*number};
  const World& world = desk.engine.world();
  const auto there = world.tickets.find(id);
  const auto told =
      explain::explain(desk.engine.journal().entries(), world.registry, id,
                       there == world.tickets.end() ? nullptr : &there->second, desk.engine.now());
  if (!told)
    co_return fail(ErrorCode::not_found, "nothing is known of ticket " + std::to_string(id.value) +
                                             ": it never was, or is longer ago than limits.events reaches");
  co_return json_reply(explanation_json(*told, wording_of(desk.engine)));
}

asio::awaitable<Answer> explain_next(Desk& desk, Call call, Outlet) {
  const auto ask = ask_of(call, desk.engine);
  if (!ask) co_return std::unexpected(ask.error());
  World copy = desk.engine.world();
  copy.now = std::max(copy.now, desk.engine.now());
  co_return json_reply(prospect_json(explain::what_if(std::move(copy), *ask), wording_of(desk.engine)));
}

}  // namespace mgpu::api
