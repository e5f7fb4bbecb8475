// Why a ticket waited, and what would happen if somebody asked now: as JSON, and in sentences made from the
// same values.
#include <algorithm>
#include <utility>

#include "api/desk.h"
#include "api/status.h"
#include "domain/names.h"

#include "explain/sentences.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

struct Shape {
  const engine::Engine& engine;
  const Registry& registry;
  Wall wall;

  Json time(const std::optional<Instant>& at) const { return at ? time_json(*at, wall) : Json(nullptr); }
  Json resident(const std::optional<ResidentId>& id) const {
    if (!id) return {{"consumer", nullptr}, {"ai_model", ""}};
    return {{"consumer", registry[registry[*id].consumer].spec.name}, {"ai_model", registry[*id].ai_model}};
  }
  Json asked(TicketId ticket, const Ask& ask) const {
    return {{"ticket", ticket.value},
            {"consumer", ask.consumer ? Json(registry[*ask.consumer].spec.name) : Json(nullptr)},
            {"ai_model", ask.resident ? registry[*ask.resident].ai_model : ""},
            {"bytes", ask.bytes.count},
            {"priority", ask.priority ? Json(to_string(*ask.priority)) : Json(nullptr)},
            {"user", ask.user == 0 ? Json(nullptr) : Json(engine.user_shown(ask.user))}};
  }

  Json segment(const explain::Segment& one) const {
    Json json = resident(one.resident);
    json.update({{"from", time_json(one.from, wall)},
                 {"until", time_json(one.until, wall)},
                 {"ms", to_ms(one.until - one.from)},
                 {"cause", to_string(one.cause)},
                 {"behind", one.behind ? Json(one.behind->value) : Json(nullptr)}});
    return json;
  }
  Json passing(const explain::Passing& one) const {
    return {{"at", time_json(one.at, wall)},
            {"ticket", one.other.value},
            {"passed", one.passed},
            {"why", to_string(one.why)}};
  }
  Json plan(const explain::Plan& one) const {
    Json considered = Json::array();
    for (const Candidate& candidate : one.considered)
      considered.push_back(candidate_json(candidate, registry));
    return {{"at", time(one.at)},
            {"reason", to_string(one.reason)},
            {"needed_bytes", one.needed.count},
            {"headroom_bytes", one.headroom.count},
            {"considered", std::move(considered)}};
  }
  Json move(const explain::Move& one) const {
    Json json = resident(one.resident);
    json.update({{"from", time_json(one.from, wall)},
                 {"until", time(one.until)},
                 {"ms", one.until ? Json(to_ms(*one.until - one.from)) : Json(nullptr)},
                 {"error", one.failed ? Json(one.failed->detail) : Json(nullptr)}});
    return json;
  }
  Json eviction(const explain::Move& one) const {
    Json json = move(one);
    json["rung"] = one.rung ? Json(to_string(*one.rung)) : Json(nullptr);
    json["freed_bytes"] = one.freed.count;
    return json;
  }
  Json load(const explain::Move& one) const {
    Json json = move(one);
    json["from_parked"] = one.from_parked;
    return json;
  }

  template <class Range, class Each>
  static Json list(const Range& range, Each each) {
    Json json = Json::array();
    for (const auto& one : range) json.push_back(each(one));
    return json;
  }

  Json of(const explain::Explanation& told) const {
    const auto passings = [this](const auto& one) { return passing(one); };
    Json json = asked(told.ticket, told.ask.value_or(Ask{}));
    json.update({{"arrived", time(told.arrived)},
                 {"beginning_gone", told.beginning_gone},
                 {"state", to_string(told.stand)},
                 {"waited_ms", to_ms(told.waited)},
                 {"granted", time(told.granted)},
                 {"segments", list(told.segments, [this](const auto& one) { return segment(one); })},
                 {"segments_left_off", told.segments_left_off},
                 {"passed_by", list(told.passed_by, passings)},
                 {"passed_others", list(told.passed_others, passings)},
                 {"plans", list(told.plans, [this](const auto& one) { return plan(one); })},
                 {"evictions", list(told.evictions, [this](const auto& one) { return eviction(one); })},
                 {"loads", list(told.loads, [this](const auto& one) { return load(one); })},
                 {"requeued", list(told.requeued, [this](Instant at) { return time_json(at, wall); })}});
    if (told.why) json.update(error_json(*told.why));
    return json;
  }

  Json of(const explain::Prospect& told) const {
    const auto number = [](TicketId ticket) { return Json(ticket.value); };
    Json json = asked(told.ticket, told.ask);
    json.erase("ticket");  // nobody has it
    Json plans = Json::array();
    for (const Effect& effect : told.effects)
      if (const auto* planned = std::get_if<Planned>(&effect); planned && planned->ticket == told.ticket)
        plans.push_back(plan(explain::plan_of(*planned)));
    json.update(
        {{"stage", told.refused ? Json(nullptr) : Json(stage_name(told.stage))},
         {"place", told.place},
         {"holders", list(told.holders, number)},
         {"before", list(told.before, number)},
         {"must_load", told.must_load},
         {"plans", std::move(plans)},
         {"estimated_start", time(told.estimated_start)},
         {"estimated_wait_ms", told.estimated_start ? Json(to_ms(told.estimated_wait)) : Json(nullptr)}});
    if (told.refused) json.update(error_json(*told.refused));
    return json;
  }
};

// The values as JSON, with the sentences that they make.
template <class Told>
Json told_json(const engine::Engine& engine, const Told& told) {
  const Shape shape{engine, engine.world().registry, wall_of(engine)};
  Json json = shape.of(told);
  json["sentences"] = explain::sentences(
      told, {.registry = shape.registry, .journal = engine.journal().entries(), .time = [&shape](Instant at) {
               return to_rfc3339(shape.wall(at));
             }});
  return json;
}

std::string query_of(const Call& call, const std::string& key) {
  const auto found = call.query.find(key);
  return found == call.query.end() ? "" : found->second;
}

Result<Ask> ask_of(const Call& call, engine::Engine& engine) {
  const std::string name = query_of(call, "consumer");
  if (name.empty()) return fail(Code::invalid_request, "say who asks: ?consumer=NAME");
  const auto target = engine.resolve(name);
  if (!target) return std::unexpected(target.error());
  Ask ask{.device = engine.world().registry[target->consumer].spec.device,
          .consumer = target->consumer,
          .resident = target->resident,
          .user = engine.user_of(query_of(call, "user"), "")};
  if (const std::string priority = query_of(call, "priority"); !priority.empty()) {
    ask.priority = priority_from_name(priority);
    if (!ask.priority)
      return fail(Code::invalid_request,
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
    co_return fail(Code::not_found, "nothing is known of ticket " + std::to_string(id.value) +
                                        ": it never was, or is longer ago than limits.events reaches");
  co_return json_reply(told_json(desk.engine, *told));
}

asio::awaitable<Answer> explain_next(Desk& desk, Call call, Outlet) {
  const auto ask = ask_of(call, desk.engine);
  if (!ask) co_return std::unexpected(ask.error());
  World copy = desk.engine.world();
  copy.now = std::max(copy.now, desk.engine.now());
  co_return json_reply(told_json(desk.engine, explain::prospect(std::move(copy), *ask)));
}

}  // namespace mgpu::api
