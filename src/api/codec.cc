#include "api/codec.h"

#include <algorithm>
#include <array>

#include "domain/enum_names.h"

namespace mgpu::api {
namespace {

// One overload for each event and effect. Their names are in kEventTypes and kEffectTypes below, in the order
// of the variants.
struct EntryEncoder {
  const Registry& registry;
  const WallClock& wall;
  const UserLabels& user_labels;

  Json consumer(ConsumerId id) const { return registry[id].spec.name; }
  Json device(DeviceId id) const { return registry.devices[id.value].name; }
  Json resident_fields(ResidentId id) const {
    const Resident& resident = registry[id];
    return {{"consumer", consumer(resident.consumer)}, {"ai_model", resident.ai_model}};
  }
  static Json with_result(Json json, const Result<void>& result) {
    json["ok"] = result.has_value();
    if (!result) json.update(error_json(result.error()));
    return json;
  }
  static Json with_error(Json json, const Error& why) {
    json.update(error_json(why));
    return json;
  }

  Json operator()(const TicketArrived& e) const {
    Json json{{"ticket", e.ticket.value},
              {"consumer", e.request.consumer ? consumer(*e.request.consumer) : Json(nullptr)},
              {"ai_model", e.request.resident ? registry[*e.request.resident].ai_model : ""},
              {"device", device(e.request.device)},
              {"warm_up", e.request.is_warm_up}};
    if (e.request.bytes.count != 0) json["bytes"] = e.request.bytes.count;
    if (e.request.priority) json["priority"] = to_string(*e.request.priority);
    if (e.request.user != 0) json["user"] = user_labels(e.request.user);
    if (e.request.deadline > Duration{0}) json["deadline_ms"] = to_ms(e.request.deadline);
    return json;
  }
  Json operator()(const TicketCancelled& e) const {
    return with_error({{"ticket", e.ticket.value}}, e.error);
  }
  Json operator()(const LeaseReleased& e) const { return {{"ticket", e.ticket.value}}; }
  Json operator()(const LoadEnded& e) const {
    Json json = resident_fields(e.resident);
    json["source"] = to_string(e.source);
    return with_result(std::move(json), e.result);
  }
  Json operator()(const RungEnded& e) const {
    Json json = resident_fields(e.resident);
    json["rung"] = to_string(e.rung);
    return with_result(std::move(json), e.result);
  }
  Json operator()(const ReadingTaken& e) const {
    Json consumers = Json::array();
    for (const auto& share : e.reading.consumers)
      consumers.push_back({{"consumer", consumer(share.consumer)}, {"measured_bytes", share.bytes.count}});
    return {{"device", device(e.reading.device)},       {"total_bytes", e.reading.total.count},
            {"foreign_bytes", e.reading.foreign.count}, {"bare_bytes", e.reading.bare.count},
            {"consumers", std::move(consumers)},        {"lost", e.reading.lost}};
  }
  Json operator()(const ServiceLost& e) const {
    return with_error({{"consumer", consumer(e.consumer)}}, e.error);
  }
  Json operator()(const ResidentFound& e) const { return resident_fields(e.resident); }
  Json operator()(const ResidentAdded& e) const {
    return {
        {"consumer", consumer(e.consumer)}, {"ai_model", e.ai_model}, {"footprint_bytes", e.footprint.count}};
  }
  Json operator()(const EvictionRequested& e) const {
    Json json = resident_fields(e.resident);
    json["park"] = e.park;
    return json;
  }
  Json operator()(const KeepAliveSet& e) const {
    Json json = resident_fields(e.resident);
    json["keep_alive_ms"] = to_ms(e.keep_alive);
    return json;
  }
  Json operator()(const DrainRequested&) const { return Json::object(); }
  Json operator()(const Tick&) const { return Json::object(); }
  Json operator()(const OutOfMemorySeen& e) const { return {{"ticket", e.ticket.value}}; }
  Json operator()(const HourBegan& e) const { return {{"hour", e.hour}}; }
  Json operator()(const StrayEnded& e) const {
    return with_result({{"consumer", e.consumer}, {"pid", e.pid}, {"why", e.reason}}, e.result);
  }
  Json operator()(const StrayLeftAlone& e) const {
    return {{"consumer", e.consumer}, {"pid", e.pid}, {"owner_pid", e.owner_pid}};
  }
  Json operator()(const LearnedForgotten& e) const { return resident_fields(e.resident); }
  Json operator()(const SizeReported& e) const {
    Json json = resident_fields(e.resident);
    json["bytes"] = e.bytes.count;
    json["is_estimate"] = e.is_estimate;
    return json;
  }

  Json operator()(const Grant& e) const {
    return {{"ticket", e.ticket.value}, {"waited_ms", to_ms(e.waited)}, {"loading_ms", to_ms(e.loading)}};
  }
  Json operator()(const Refuse& e) const {
    return with_error({{"ticket", e.ticket.value}, {"retry_after_ms", to_ms(e.retry_after)}}, e.error);
  }
  Json operator()(const EndLease& e) const { return with_error({{"ticket", e.ticket.value}}, e.error); }
  Json operator()(const Load& e) const {
    Json json = resident_fields(e.resident);
    json["ticket"] = e.ticket ? Json(e.ticket->value) : Json(nullptr);
    json["from_parked"] = e.from_parked;
    return json;
  }
  Json operator()(const Evict& e) const {
    Json json = resident_fields(e.resident);
    json["rung"] = to_string(e.rung);
    return json;
  }
  Json operator()(const TakeReading& e) const { return {{"device", device(e.device)}}; }
  Json operator()(const Planned& e) const {
    Json victims = Json::array();
    for (const ResidentId victim : e.victims) victims.push_back(resident_fields(victim));
    Json considered = Json::array();
    for (const EvictionCandidate& candidate : e.considered)
      considered.push_back(candidate_json(candidate, registry));
    return {{"device", device(e.device)},
            {"reason", to_string(e.reason)},
            {"ticket", e.ticket ? Json(e.ticket->value) : Json(nullptr)},
            {"victims", std::move(victims)},
            {"needed_bytes", e.needed.count},
            {"headroom_bytes", e.headroom.count},
            {"considered", std::move(considered)}};
  }
  Json operator()(const Evicted& e) const {
    Json json = resident_fields(e.resident);
    json["rung"] = to_string(e.rung);
    json["before_bytes"] = e.before_bytes.count;
    json["after_bytes"] = e.after_bytes.count;
    return json;
  }
  Json operator()(const EvictionFailed& e) const {
    Json json = resident_fields(e.resident);
    json["still_held_bytes"] = e.still_held_bytes.count;
    return with_error(std::move(json), e.error);
  }
  Json operator()(const ReadAhead& e) const { return resident_fields(e.resident); }
  Json operator()(const CostsLearned& e) const {
    Json json = resident_fields(e.resident);
    json["learned"] = learned_json(e.costs);
    return json;
  }
  Json operator()(const Overtook& e) const {
    Json passed = Json::array();
    for (const TicketId ticket : e.overtaken) passed.push_back(ticket.value);
    return {{"ticket", e.ticket.value}, {"passed", std::move(passed)}, {"why", to_string(e.reason)}};
  }
  Json operator()(const Requeued& e) const {
    return {{"ticket", e.ticket.value}, {"expected_bytes", e.expected_bytes.count}};
  }
  Json operator()(const LoadedInVain& e) const { return resident_fields(e.resident); }
};

constexpr std::array<std::string_view, std::variant_size_v<EventPayload>> kEventTypes{
    "ticket_arrived",     "ticket_cancelled",   "lease_released",    "load_ended",
    "rung_ended",         "reading_taken",      "service_lost",      "found",
    "resident_added",     "eviction_requested", "drain_requested",   "tick",
    "out_of_memory_seen", "hour_began",         "learned_forgotten", "stray_ended",
    "stray_left_alone",   "keep_alive_set",     "size_reported"};
constexpr std::array<std::string_view, 5> kFoundTypes{"found_cold", "found_loading", "found_warm",
                                                      "found_parked", "found_gone"};  // by Presence
constexpr std::array<std::string_view, std::variant_size_v<Effect>> kEffectTypes{
    "granted", "refused",         "lease_ended", "load",    "evict",    "take_reading", "planned",
    "evicted", "eviction_failed", "read_ahead",  "learned", "overtook", "requeued",     "loaded_in_vain"};

}  // namespace

Json time_json(Instant at, const WallClock& wall) {
  if (at == Instant{} || at == kNever) return nullptr;
  return to_rfc3339(wall(at));
}

Json error_json(const Error& error) {
  return {{"error", {{"code", to_string(error.code)}, {"message", error.detail}}}};
}

Json statistics_json(const Statistics& s, const WallClock& wall) {
  return {{"queue_depth", s.queue_depth},
          {"in_flight", s.in_flight},
          {"total_jobs", s.total_jobs},
          {"last_wait_ms", to_ms(s.last_wait)},
          {"last_run_ms", to_ms(s.last_run)},
          {"oldest_queued", s.oldest_queued ? time_json(*s.oldest_queued, wall) : Json(nullptr)}};
}

Json learned_json(const LearnedCosts& learned) {
  return {{"footprint_bytes", learned.footprint.count},
          {"working_bytes", learned.working.count},
          {"load_cold_ms", to_ms(learned.load_cold)},
          {"load_cached_ms", to_ms(learned.load_cached)},
          {"load_parked_ms", to_ms(learned.load_parked)},
          {"unload_ms", to_ms(learned.unload)},
          {"park_ms", to_ms(learned.park)},
          {"run_ms", to_ms(learned.run)},
          {"loads", learned.loads},
          {"runs", learned.runs}};
}

Json resident_json(const Resident& resident, const WallClock& wall) {
  const bool failed = resident.state == Residency::failed;
  return {{"ai_model", resident.ai_model},
          {"state", to_string(resident.state)},
          {"footprint_bytes", resident.footprint.count},
          {"last_used", time_json(resident.last_used, wall)},
          {"error", failed ? Json(resident.last_error.detail) : Json(nullptr)},
          {"retry_at", failed ? time_json(resident.retry_at, wall) : Json(nullptr)}};
}

Json candidate_json(const EvictionCandidate& candidate, const Registry& registry) {
  const Resident& resident = registry[candidate.resident];
  return {{"consumer", registry[resident.consumer].spec.name},
          {"ai_model", resident.ai_model},
          {"yield_bytes", candidate.yield_bytes.count},
          {"reload_ms", to_ms(candidate.reload_time)},
          {"value", candidate.retention_value},
          {"chosen", candidate.chosen}};
}

std::string_view stage_name(TicketStage stage) {
  switch (stage) {
    case TicketStage::waiting:
      return "waiting";
    case TicketStage::preparing:
      return "preparing";
    case TicketStage::running:
      return "running";
  }
  return "";
}

Residency consumer_residency(const Registry& registry, const ConsumerState& consumer) {
  // From the farthest from warm to the nearest.
  constexpr std::array kOrder{Residency::cold,      Residency::failed,  Residency::parked,
                              Residency::unloading, Residency::loading, Residency::warm};
  const auto rank = [&](Residency state) { return std::ranges::find(kOrder, state) - kOrder.begin(); };
  Residency nearest = Residency::cold;
  for (const ResidentId id : consumer.residents)
    if (rank(registry[id].state) > rank(nearest)) nearest = registry[id].state;
  return nearest;
}

std::string_view event_type(const std::variant<EventPayload, Effect>& payload) {
  if (const auto* event = std::get_if<EventPayload>(&payload)) {
    if (const auto* found = std::get_if<ResidentFound>(event))
      return kFoundTypes[static_cast<std::size_t>(found->presence)];
    return kEventTypes[event->index()];
  }
  return kEffectTypes[std::get<Effect>(payload).index()];
}

Json entry_json(const JournalEntry& entry, const Registry& registry, const WallClock& wall,
                const UserLabels& user_labels) {
  const EntryEncoder encoder{registry, wall, user_labels};
  Json json = std::visit([&](const auto& event_or_effect) { return std::visit(encoder, event_or_effect); },
                         entry.payload);
  json["at"] = time_json(entry.at, wall);
  json["type"] = event_type(entry.payload);  // saved lines have no event name beside them
  return json;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string json_body(const Json& json) { return dump(json) + "\n"; }

}  // namespace mgpu::api
