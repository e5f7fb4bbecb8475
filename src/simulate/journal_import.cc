#include "simulate/journal_import.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "domain/enum_names.h"

#include "replay/csv.h"

namespace mgpu::simulate {
namespace {

using Json = nlohmann::json;
using replay::Machine;

// Start of the journal in virtual time: the first readings have been taken by then
constexpr Instant kFirstArrival{2'000'000};

// "2026-11-24T13:10:00.123Z", the format of base/time.h.
std::optional<Instant> parse_instant(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  double second = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%9lfZ", &year, &month, &day, &hour, &minute, &second) !=
      6)
    return std::nullopt;
  if (year < 1970 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || !(second >= 0 && second < 61))
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const auto whole = std::chrono::sys_days{date}.time_since_epoch() + std::chrono::hours{hour} +
                     std::chrono::minutes{minute};
  return Instant{std::chrono::duration_cast<Duration>(whole).count() + std::llround(second * 1e6)};
}

std::string string_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t integer_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

Bytes bytes_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return {};
  return bytes_from_number(found->get<double>()).value_or(Bytes{});
}

Duration duration_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return {};
  return duration_from_ms(found->get<double>()).value_or(Duration{});
}

// The name of the first field, at any depth, with an amount or duration beyond the limits. Negative values
// are allowed, for instance for headroom.
std::optional<std::string> find_out_of_range_field(const Json& json) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_structured())
      if (auto inside = find_out_of_range_field(value)) return inside;
    if (!value.is_number()) continue;
    const double size = std::abs(value.get<double>());
    const bool too_long = name.ends_with("_ms") && !duration_from_ms(size);
    const bool too_large = name.ends_with("_bytes") && !bytes_from_number(size);
    if (too_long || too_large) return name;
  }
  return std::nullopt;
}

bool bool_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// The consumer and resident of an entry; nullopt if the configuration does not have the consumer.
std::optional<replay::Target> target_from_json(const Machine& machine, const Json& fields) {
  const std::string consumer = string_field(fields, "consumer"), ai_model = string_field(fields, "ai_model");
  return replay::find_target(machine, ai_model.empty() ? consumer : consumer + "/" + ai_model);
}

void add_ai_model(Machine& machine, const Json& fields) {
  if (target_from_json(machine, fields)) return;
  const auto owner = replay::find_target(machine, string_field(fields, "consumer"));
  if (!owner || string_field(fields, "ai_model").empty()) return;
  const Bytes declared = bytes_field(fields, "footprint_bytes");
  const Bytes footprint =
      declared > Bytes{} ? declared : machine.world.registry[owner->consumer].spec.footprint;
  add_resident(machine.world.registry, owner->consumer, string_field(fields, "ai_model"), footprint);
  machine.costs.push_back(replay::estimated_costs(footprint));
}

// Durations of one kind of load or eviction of one resident; at most one is in progress.
struct DurationSamples {
  Duration sum{};
  std::int64_t count = 0;
  std::optional<Instant> began{};
  void begin(Instant at) { began = at; }
  void end(Instant at) {
    if (!began) return;
    sum += at - *began, ++count;
    began.reset();
  }
  void apply_mean(Duration& cost) const {
    if (count > 0) cost = sum / count;
  }
};

struct ResidentTimings {
  DurationSamples cold{}, cached{}, parked{}, unload{}, park{};
  DurationSamples* current_load = nullptr;
  DurationSamples* current_eviction = nullptr;
};

void record_timing(ResidentTimings& timings, const RecordedEvent& entry) {
  if (entry.type == "load") {
    timings.current_load = bool_field(entry.fields, "from_parked") ? &timings.parked : &timings.cold;
    timings.current_load->begin(entry.at);
  } else if (entry.type == "load_ended" && timings.current_load != nullptr) {
    DurationSamples* into =
        string_field(entry.fields, "source") == "cached" ? &timings.cached : timings.current_load;
    if (into != timings.current_load) into->began = std::exchange(timings.current_load->began, std::nullopt);
    if (bool_field(entry.fields, "ok")) into->end(entry.at);
    timings.current_load = nullptr;
  } else if (entry.type == "evict") {
    timings.current_eviction = string_field(entry.fields, "rung") == "park" ? &timings.park : &timings.unload;
    timings.current_eviction->begin(entry.at);
  } else if (entry.type == "evicted" && timings.current_eviction != nullptr) {
    timings.current_eviction->end(entry.at);
    timings.current_eviction = nullptr;
  }
}

// A measured cold load gives estimates for the other costs, which their own measurements replace.
void apply_timings(Machine& machine, ResidentId id, const ResidentTimings& timings) {
  replay::Costs& costs = machine.costs[id.value];
  if (timings.cold.count > 0) costs = replay::costs_from_cold(timings.cold.sum / timings.cold.count);
  timings.cached.apply_mean(costs.load_cached);
  timings.parked.apply_mean(costs.load_parked);
  timings.unload.apply_mean(costs.unload);
  timings.park.apply_mean(costs.park);
}

void set_footprint(Machine& machine, ResidentId id, Bytes footprint) {
  if (footprint > Bytes{}) machine.world.registry[id].footprint = footprint;
}

// Applies learned costs, with the field names of src/api/codec.cc. Returns whether they contain a load.
bool apply_learned(Machine& machine, ResidentId id, const Json& learned) {
  set_footprint(machine, id, bytes_field(learned, "footprint_bytes"));
  const Duration cold = duration_field(learned, "load_cold_ms"),
                 cached = duration_field(learned, "load_cached_ms");
  replay::Costs& costs = machine.costs[id.value];
  if (cold > Duration{}) costs = replay::costs_from_cold(cold);
  for (const auto& [measured, cost] : {std::pair{cached, &costs.load_cached},
                                       {duration_field(learned, "load_parked_ms"), &costs.load_parked},
                                       {duration_field(learned, "unload_ms"), &costs.unload},
                                       {duration_field(learned, "park_ms"), &costs.park}})
    if (measured > Duration{}) *cost = measured;
  return cold > Duration{} || cached > Duration{};
}

// Ignores a device that the configuration does not have.
void set_device_size(Machine& machine, const std::string& device, Bytes total) {
  for (std::size_t i = 0; i < machine.device_memory.size(); ++i)
    if (machine.world.registry.devices[i].name == device && total > Bytes{}) machine.device_memory[i] = total;
}

// Follows the tickets of a journal from arrival to the end of the lease.
class TicketTracker {
 public:
  TicketTracker(const Machine& machine, Instant journal_start)
      : machine_(machine), journal_start_(journal_start) {}

  void on_event(const RecordedEvent& entry) {
    const std::int64_t ticket = integer_field(entry.fields, "ticket");
    if (entry.type == "ticket_arrived") {
      if (!bool_field(entry.fields, "warm_up"))
        open_tickets_[ticket] = {.arrived = entry.at, .fields = entry.fields};
      return;
    }
    const auto found = open_tickets_.find(ticket);
    if (found == open_tickets_.end()) return;
    if (entry.type == "granted") found->second.granted = entry.at;
    if (entry.type == "requeued") found->second.granted.reset();
    if (!is_end(entry.type)) return;
    close_ticket(found->second, entry.at);
    open_tickets_.erase(found);
  }

  RecordedWorkload finish() {
    result_.skipped_tickets += open_tickets_.size();
    return std::move(result_);
  }

 private:
  struct OpenTicket {
    Instant arrived{};
    std::optional<Instant> granted{};
    Json fields{};
  };

  static bool is_end(std::string_view type) {
    return type == "lease_released" || type == "lease_ended" || type == "refused" ||
           type == "ticket_cancelled";
  }

  void close_ticket(const OpenTicket& job, Instant at) {
    const auto target = target_from_json(machine_, job.fields);
    if (!job.granted || !target || at < *job.granted || job.arrived < journal_start_) {
      ++result_.skipped_tickets;
      return;
    }
    replay::Flow flow{.start = kFirstArrival + (job.arrived - journal_start_),
                      .user = find_or_add_user(job.fields),
                      .steps = {}};
    flow.steps.push_back({.consumer = target->consumer,
                          .resident = target->resident,
                          .work = at - *job.granted,
                          .priority = priority_from_name(string_field(job.fields, "priority"))});
    result_.workload.flows.push_back(std::move(flow));
  }

  std::uint32_t find_or_add_user(const Json& fields) {
    const auto found = fields.find("user");
    if (found == fields.end() || found->is_null()) return 0;
    return users_.emplace(found->dump(), static_cast<std::uint32_t>(users_.size() + 1)).first->second;
  }

  const Machine& machine_;
  Instant journal_start_;
  std::map<std::int64_t, OpenTicket> open_tickets_{};
  std::map<std::string, std::uint32_t> users_{};
  RecordedWorkload result_{};
};

}  // namespace

bool is_journal(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \r\n\t");
  if (first == std::string_view::npos) return false;
  text.remove_prefix(first);
  return text.starts_with('{') || text.starts_with("id:") || text.starts_with("event:") ||
         text.starts_with(':');
}

Result<std::vector<RecordedEvent>> parse_journal(std::string_view text) {
  std::vector<RecordedEvent> entries;
  std::string type;  // of a server-sent event: in a line before its data
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = next_line(text);
    if (line.starts_with("event: ")) type = line.substr(7);
    if (line.starts_with("data: ")) line.remove_prefix(6);
    if (!line.starts_with('{')) continue;
    Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded() || !json.is_object())
      return fail(ErrorCode::invalid_request, "line " + std::to_string(number) + " is not a JSON object");
    std::string event_type = string_field(json, "type");
    const auto at = parse_instant(string_field(json, "at"));
    if (event_type.empty()) event_type = std::exchange(type, "");
    if (!at || event_type.empty())
      return fail(ErrorCode::invalid_request,
                  "line " + std::to_string(number) + " has no time (at) or no type");
    if (const auto name = find_out_of_range_field(json))
      return fail(ErrorCode::invalid_request,
                  "line " + std::to_string(number) + ": " + *name + " is out of range");
    if (const Instant first = entries.empty() ? *at : entries.front().at;
        *at - first > kLongestDuration || first - *at > kLongestDuration)
      return fail(ErrorCode::invalid_request, "line " + std::to_string(number) + " is more than " +
                                                  to_string(kLongestDuration) + " away from the first event");
    entries.push_back({.at = *at, .type = std::move(event_type), .fields = std::move(json)});
  }
  return entries;
}

std::size_t learn_from(Machine& machine, const std::vector<RecordedEvent>& journal) {
  std::map<ResidentId, ResidentTimings> timings;
  std::vector<ResidentId> timed_residents;
  for (const RecordedEvent& entry : journal) {
    if (entry.type == "resident_added" || entry.type == "ticket_arrived") add_ai_model(machine, entry.fields);
    if (entry.type == "reading_taken")
      set_device_size(machine, string_field(entry.fields, "device"),
                      bytes_field(entry.fields, "total_bytes"));
    const auto target = target_from_json(machine, entry.fields);
    if (!target || !target->resident) continue;
    record_timing(timings[*target->resident], entry);
    if (entry.type == "learned" &&
        apply_learned(machine, *target->resident, entry.fields.value("learned", Json{})))
      timed_residents.push_back(*target->resident);
  }
  bool from_cache = false;
  for (const auto& [id, resident_timings] : timings) {
    apply_timings(machine, id, resident_timings);
    from_cache |= resident_timings.cached.count > 0;
    if (resident_timings.cold.count + resident_timings.cached.count > 0) timed_residents.push_back(id);
  }
  // A journal does not contain the size of the page cache. If a load came from it once, assume room for all.
  if (from_cache)
    for (const Resident& resident : machine.world.registry.residents)
      machine.page_cache += resident.footprint;
  std::ranges::sort(timed_residents);
  return static_cast<std::size_t>(std::ranges::unique(timed_residents).begin() - timed_residents.begin());
}

std::size_t learn_from(Machine& machine, const Json& status) {
  if (!status.is_object()) return 0;
  std::size_t known = 0;
  for (const Json& device : status.value("devices", Json::array()))
    set_device_size(machine, string_field(device, "id"),
                    bytes_field(device.value("memory", Json::object()), "total_bytes"));
  for (const Json& consumer : status.value("consumers", Json::array())) {
    for (Json resident : consumer.value("residents", Json::array())) {
      resident["consumer"] = string_field(consumer, "name");
      add_ai_model(machine, resident);
      const auto target = target_from_json(machine, resident);
      if (!target || !target->resident) continue;
      set_footprint(machine, *target->resident, bytes_field(resident, "footprint_bytes"));
      if (apply_learned(machine, *target->resident, resident.value("learned", Json::object()))) ++known;
    }
  }
  return known;
}

RecordedWorkload extract_workload(const Machine& machine, const std::vector<RecordedEvent>& journal) {
  TicketTracker tracker(machine, journal.empty() ? Instant{} : journal.front().at);
  for (const RecordedEvent& entry : journal) tracker.on_event(entry);
  return tracker.finish();
}

}  // namespace mgpu::simulate
