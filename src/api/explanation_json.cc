#include "api/explanation_json.h"

#include <utility>

#include "domain/enum_names.h"

#include "explain/explanation_text.h"

namespace mgpu::api {
namespace {

struct Shape {
  const Wording& wording;
  const Registry& registry = wording.registry;
  const Wall& wall = wording.wall;

  Json time(const std::optional<Instant>& at) const { return at ? time_json(*at, wall) : Json(nullptr); }
  Json resident(const std::optional<ResidentId>& id) const {
    if (!id) return {{"consumer", nullptr}, {"ai_model", ""}};
    return {{"consumer", registry[registry[*id].consumer].spec.name}, {"ai_model", registry[*id].ai_model}};
  }
  Json asked(TicketId ticket, const TicketRequest& ask) const {
    return {{"ticket", ticket.value},
            {"consumer", ask.consumer ? Json(registry[*ask.consumer].spec.name) : Json(nullptr)},
            {"ai_model", ask.resident ? registry[*ask.resident].ai_model : ""},
            {"bytes", ask.bytes.count},
            {"priority", ask.priority ? Json(to_string(*ask.priority)) : Json(nullptr)},
            {"user", ask.user == 0 ? Json(nullptr) : Json(wording.user_shown(ask.user))}};
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
            {"why", to_string(one.why)}};
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

  Json of(const explain::Explanation& told) const {
    const auto passings = [this](const auto& one) { return passing(one); };
    Json json = asked(told.ticket, told.ask.value_or(TicketRequest{}));
    json.update({{"arrived", time(told.arrived)},
                 {"beginning_gone", told.truncated},
                 {"state", to_string(told.state)},
                 {"waited_ms", to_ms(told.waited)},
                 {"granted", time(told.granted)},
                 {"segments", list(told.segments, [this](const auto& one) { return segment(one); })},
                 {"segments_left_off", told.segments_dropped},
                 {"passed_by", list(told.passed_by, passings)},
                 {"passed_others", list(told.passed_others, passings)},
                 {"plans", list(told.plans, [this](const auto& one) { return plan(one); })},
                 {"evictions", list(told.evictions, [this](const auto& one) { return eviction(one); })},
                 {"loads", list(told.loads, [this](const auto& one) { return load(one); })},
                 {"requeued", list(told.requeued, [this](Instant at) { return time_json(at, wall); })}});
    if (told.why) json.update(error_json(*told.why));
    return json;
  }

  Json of(const explain::WhatIf& told) const {
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
         {"holders", list(told.turn_holders, number)},
         {"before", list(told.tickets_ahead, number)},
         {"must_load", told.must_load},
         {"plans", std::move(plans)},
         {"estimated_start", time(told.estimated_start)},
         {"estimated_wait_ms", told.estimated_start ? Json(to_ms(told.estimated_wait)) : Json(nullptr)}});
    if (told.refused) json.update(error_json(*told.refused));
    return json;
  }
};

template <class Told>
Json with_sentences(const Told& told, const Wording& wording) {
  const Shape shape{wording};
  Json json = shape.of(told);
  json["sentences"] = explain::format_sentences(
      told, {.registry = wording.registry, .journal = wording.journal, .time = [&wording](Instant at) {
               return to_rfc3339(wording.wall(at));
             }});
  return json;
}

}  // namespace

Json explanation_json(const explain::Explanation& told, const Wording& wording) {
  return with_sentences(told, wording);
}

Json prospect_json(const explain::WhatIf& told, const Wording& wording) {
  return with_sentences(told, wording);
}

}  // namespace mgpu::api
