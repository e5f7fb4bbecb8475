#include "api/explanation_json.h"

#include <utility>

#include "domain/enum_names.h"

#include "explain/explanation_text.h"

namespace mgpu::api {
namespace {

struct ExplanationEncoder {
  const RenderContext& render_context;
  const Registry& registry = render_context.registry;
  const WallClock& wall = render_context.wall;

  Json time(const std::optional<Instant>& at) const { return at ? time_json(*at, wall) : Json(nullptr); }
  Json resident(const std::optional<ResidentId>& id) const {
    if (!id) return {{"consumer", nullptr}, {"ai_model", ""}};
    return {{"consumer", registry[registry[*id].consumer].spec.name}, {"ai_model", registry[*id].ai_model}};
  }
  Json ask_fields(TicketId ticket, const TicketRequest& ask) const {
    return {{"ticket", ticket.value},
            {"consumer", ask.consumer ? Json(registry[*ask.consumer].spec.name) : Json(nullptr)},
            {"ai_model", ask.resident ? registry[*ask.resident].ai_model : ""},
            {"bytes", ask.bytes.count},
            {"priority", ask.priority ? Json(to_string(*ask.priority)) : Json(nullptr)},
            {"user", ask.user == 0 ? Json(nullptr) : Json(render_context.user_labels(ask.user))}};
  }

  Json segment(const explain::WaitSegment& one) const {
    Json json = resident(one.resident);
    json.update({{"from", time_json(one.from, wall)},
                 {"until", time_json(one.until, wall)},
                 {"ms", to_ms(one.until - one.from)},
                 {"cause", to_string(one.cause)},
                 {"behind", one.behind ? Json(one.behind->value) : Json(nullptr)}});
    return json;
  }
  Json passing(const explain::OvertakeRecord& one) const {
    return {{"at", time_json(one.at, wall)},
            {"ticket", one.other.value},
            {"passed", one.passed},
            {"why", to_string(one.reason)}};
  }
  Json plan(const explain::Plan& one) const {
    Json considered = Json::array();
    for (const EvictionCandidate& candidate : one.considered)
      considered.push_back(candidate_json(candidate, registry));
    return {{"at", time(one.at)},
            {"reason", to_string(one.reason)},
            {"needed_bytes", one.needed.count},
            {"headroom_bytes", one.headroom.count},
            {"considered", std::move(considered)}};
  }
  Json move(const explain::ResidencyChange& one) const {
    Json json = resident(one.resident);
    json.update({{"from", time_json(one.from, wall)},
                 {"until", time(one.until)},
                 {"ms", one.until ? Json(to_ms(*one.until - one.from)) : Json(nullptr)},
                 {"error", one.failed ? Json(one.failed->detail) : Json(nullptr)}});
    return json;
  }
  Json eviction(const explain::ResidencyChange& one) const {
    Json json = move(one);
    json["rung"] = one.rung ? Json(to_string(*one.rung)) : Json(nullptr);
    json["freed_bytes"] = one.freed.count;
    return json;
  }
  Json load(const explain::ResidencyChange& one) const {
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

  Json encode(const explain::Explanation& explanation) const {
    const auto passings = [this](const auto& one) { return passing(one); };
    Json json = ask_fields(explanation.ticket, explanation.request.value_or(TicketRequest{}));
    json.update(
        {{"arrived", time(explanation.arrived)},
         {"beginning_gone", explanation.truncated},
         {"state", to_string(explanation.state)},
         {"waited_ms", to_ms(explanation.waited)},
         {"granted", time(explanation.granted)},
         {"segments", list(explanation.segments, [this](const auto& one) { return segment(one); })},
         {"segments_left_off", explanation.segments_dropped},
         {"passed_by", list(explanation.passed_by, passings)},
         {"passed_others", list(explanation.passed_others, passings)},
         {"plans", list(explanation.plans, [this](const auto& one) { return plan(one); })},
         {"evictions", list(explanation.evictions, [this](const auto& one) { return eviction(one); })},
         {"loads", list(explanation.loads, [this](const auto& one) { return load(one); })},
         {"requeued", list(explanation.requeued, [this](Instant at) { return time_json(at, wall); })}});
    if (explanation.error) json.update(error_json(*explanation.error));
    return json;
  }

  Json encode(const explain::WhatIf& what_if) const {
    const auto number = [](TicketId ticket) { return Json(ticket.value); };
    Json json = ask_fields(what_if.ticket, what_if.request);
    json.erase("ticket");  // the copy of the world gave it a number; there is no such ticket
    Json plans = Json::array();
    for (const Effect& effect : what_if.effects)
      if (const auto* planned = std::get_if<Planned>(&effect); planned && planned->ticket == what_if.ticket)
        plans.push_back(plan(explain::plan_of(*planned)));
    json.update({{"stage", what_if.refused ? Json(nullptr) : Json(stage_name(what_if.stage))},
                 {"place", what_if.place},
                 {"holders", list(what_if.turn_holders, number)},
                 {"before", list(what_if.tickets_ahead, number)},
                 {"must_load", what_if.must_load},
                 {"plans", std::move(plans)},
                 {"estimated_start", time(what_if.estimated_start)},
                 {"estimated_wait_ms",
                  what_if.estimated_start ? Json(to_ms(what_if.estimated_wait)) : Json(nullptr)}});
    if (what_if.refused) json.update(error_json(*what_if.refused));
    return json;
  }
};

template <class Value>
Json with_sentences(const Value& value, const RenderContext& render_context) {
  const ExplanationEncoder encoder{render_context};
  Json json = encoder.encode(value);
  json["sentences"] = explain::format_sentences(
      value, {.registry = render_context.registry,
              .journal = render_context.journal,
              .time = [&render_context](Instant at) { return to_rfc3339(render_context.wall(at)); }});
  return json;
}

}  // namespace

Json explanation_json(const explain::Explanation& explanation, const RenderContext& render_context) {
  return with_sentences(explanation, render_context);
}

Json what_if_json(const explain::WhatIf& what_if, const RenderContext& render_context) {
  return with_sentences(what_if, render_context);
}

}  // namespace mgpu::api
