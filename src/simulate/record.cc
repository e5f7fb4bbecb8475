#include "simulate/record.h"

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

constexpr Instant kFirst{2'000'000};  // when the first comes: the devices have been looked at by then

// "2026-11-24T13:10:00.123Z", as base/time.h writes it.
std::optional<Instant> instant_in(const std::string& text) {
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

std::string text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

Bytes bytes_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return {};
  return bytes_from_number(found->get<double>()).value_or(Bytes{});
}

Duration ms_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return {};
  return duration_from_ms(found->get<double>()).value_or(Duration{});
}

// The name of the first amount or time, however deep, that is larger than any may be; what a journal says is
// below zero (headroom, say) may be so.
std::optional<std::string> out_of_range(const Json& json) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_structured())
      if (auto inside = out_of_range(value)) return inside;
    if (!value.is_number()) continue;
    const double size = std::abs(value.get<double>());
    const bool too_long = name.ends_with("_ms") && !duration_from_ms(size);
    const bool too_large = name.ends_with("_bytes") && !bytes_from_number(size);
    if (too_long || too_large) return name;
  }
  return std::nullopt;
}

bool flag_at(const Json& json, const char* name) {
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

// The resident that an entry speaks of; one that the configuration does not name is added, as the daemon did.
std::optional<replay::Target> target_in(const Machine& house, const Json& what) {
  const std::string consumer = text_at(what, "consumer"), ai_model = text_at(what, "ai_model");
  return replay::find_target(house, ai_model.empty() ? consumer : consumer + "/" + ai_model);
}

void add_ai_model(Machine& house, const Json& what) {
  if (target_in(house, what)) return;
  const auto owner = replay::find_target(house, text_at(what, "consumer"));
  if (!owner || text_at(what, "ai_model").empty()) return;
  const Bytes told = bytes_at(what, "footprint_bytes");
  const Bytes footprint = told > Bytes{} ? told : house.world.registry[owner->consumer].spec.footprint;
  add_resident(house.world.registry, owner->consumer, text_at(what, "ai_model"), footprint);
  house.costs.push_back(replay::estimated_costs(footprint));
}

// Loads or evictions of one resident and kind: they end in the order in which they began.
struct Seen {
  Duration sum{};
  std::int64_t times = 0;
  std::optional<Instant> began{};
  void begin(Instant at) { began = at; }
  void end(Instant at) {
    if (!began) return;
    sum += at - *began, ++times;
    began.reset();
  }
  void settle(Duration& cost) const {
    if (times > 0) cost = sum / times;
  }
};

struct SeenOf {
  Seen cold{}, cached{}, parked{}, unload{}, park{};
  Seen* loading = nullptr;
  Seen* leaving = nullptr;
};

void watch(SeenOf& seen, const Entry& entry) {
  if (entry.type == "load") {
    seen.loading = flag_at(entry.what, "from_parked") ? &seen.parked : &seen.cold;
    seen.loading->begin(entry.at);
  } else if (entry.type == "load_ended" && seen.loading != nullptr) {
    Seen* into = text_at(entry.what, "source") == "cached" ? &seen.cached : seen.loading;
    if (into != seen.loading) into->began = std::exchange(seen.loading->began, std::nullopt);
    if (flag_at(entry.what, "ok")) into->end(entry.at);
    seen.loading = nullptr;
  } else if (entry.type == "evict") {
    seen.leaving = text_at(entry.what, "rung") == "park" ? &seen.park : &seen.unload;
    seen.leaving->begin(entry.at);
  } else if (entry.type == "evicted" && seen.leaving != nullptr) {
    seen.leaving->end(entry.at);
    seen.leaving = nullptr;
  }
}

// What was seen of a load says what the others take, too, until they are seen themselves.
void settle(Machine& house, ResidentId id, const SeenOf& seen) {
  replay::Costs& costs = house.costs[id.value];
  if (seen.cold.times > 0) costs = replay::costs_from_cold(seen.cold.sum / seen.cold.times);
  seen.cached.settle(costs.load_cached);
  seen.parked.settle(costs.load_parked);
  seen.unload.settle(costs.unload);
  seen.park.settle(costs.park);
}

void set_footprint(Machine& house, ResidentId id, Bytes footprint) {
  if (footprint > Bytes{}) house.world.registry[id].footprint = footprint;
}

// The codec's words for what was learned (src/api/codec.cc). Returns whether a load was among it.
bool take_learned(Machine& house, ResidentId id, const Json& learned) {
  set_footprint(house, id, bytes_at(learned, "footprint_bytes"));
  const Duration cold = ms_at(learned, "load_cold_ms"), cached = ms_at(learned, "load_cached_ms");
  replay::Costs& costs = house.costs[id.value];
  if (cold > Duration{}) costs = replay::costs_from_cold(cold);
  for (const auto& [told, cost] : {std::pair{cached, &costs.load_cached},
                                   {ms_at(learned, "load_parked_ms"), &costs.load_parked},
                                   {ms_at(learned, "unload_ms"), &costs.unload},
                                   {ms_at(learned, "park_ms"), &costs.park}})
    if (told > Duration{}) *cost = told;
  return cold > Duration{} || cached > Duration{};
}

// By name; a journal or a status of another machine may have others.
void set_total(Machine& house, const std::string& device, Bytes total) {
  for (std::size_t i = 0; i < house.device_memory.size(); ++i)
    if (house.world.registry.devices[i].name == device && total > Bytes{}) house.device_memory[i] = total;
}

// The tickets of a journal, from their arrival to the end of their lease.
class Line {
 public:
  Line(const Machine& house, Instant first) : house_(house), first_(first) {}

  void hear(const Entry& entry) {
    const std::int64_t ticket = number_at(entry.what, "ticket");
    if (entry.type == "ticket_arrived") {
      if (!flag_at(entry.what, "warm_up")) open_[ticket] = {.arrived = entry.at, .what = entry.what};
      return;
    }
    const auto found = open_.find(ticket);
    if (found == open_.end()) return;
    if (entry.type == "granted") found->second.granted = entry.at;
    if (entry.type == "requeued") found->second.granted.reset();
    if (!is_end(entry.type)) return;
    close(found->second, entry.at);
    open_.erase(found);
  }

  Recorded done() {
    recorded_.left_out += open_.size();
    return std::move(recorded_);
  }

 private:
  struct Waiting {
    Instant arrived{};
    std::optional<Instant> granted{};
    Json what{};
  };

  static bool is_end(std::string_view type) {
    return type == "lease_released" || type == "lease_ended" || type == "refused" ||
           type == "ticket_cancelled";
  }

  void close(const Waiting& job, Instant at) {
    const auto target = target_in(house_, job.what);
    if (!job.granted || !target || at < *job.granted || job.arrived < first_) {
      ++recorded_.left_out;
      return;
    }
    replay::Flow flow{.start = kFirst + (job.arrived - first_), .user = user_of(job.what), .steps = {}};
    flow.steps.push_back({.consumer = target->consumer,
                          .resident = target->resident,
                          .work = at - *job.granted,
                          .priority = priority_from_name(text_at(job.what, "priority"))});
    recorded_.workload.flows.push_back(std::move(flow));
  }

  std::uint32_t user_of(const Json& what) {
    const auto found = what.find("user");
    if (found == what.end() || found->is_null()) return 0;
    return users_.emplace(found->dump(), static_cast<std::uint32_t>(users_.size() + 1)).first->second;
  }

  const Machine& house_;
  Instant first_;
  std::map<std::int64_t, Waiting> open_{};
  std::map<std::string, std::uint32_t> users_{};
  Recorded recorded_{};
};

}  // namespace

bool is_journal(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \r\n\t");
  if (first == std::string_view::npos) return false;
  text.remove_prefix(first);
  return text.starts_with('{') || text.starts_with("id:") || text.starts_with("event:") ||
         text.starts_with(':');
}

Result<std::vector<Entry>> read_journal(std::string_view text) {
  std::vector<Entry> entries;
  std::string type;  // of server-sent events: told in a line of its own
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = next_line(text);
    if (line.starts_with("event: ")) type = line.substr(7);
    if (line.starts_with("data: ")) line.remove_prefix(6);
    if (!line.starts_with('{')) continue;
    Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded() || !json.is_object())
      return fail(ErrorCode::invalid_request, "line " + std::to_string(number) + " is no JSON object");
    std::string told = text_at(json, "type");
    const auto at = instant_in(text_at(json, "at"));
    if (told.empty()) told = std::exchange(type, "");
    if (!at || told.empty())
      return fail(ErrorCode::invalid_request,
                  "line " + std::to_string(number) + " says no time (at) or no type");
    if (const auto name = out_of_range(json))
      return fail(ErrorCode::invalid_request,
                  "line " + std::to_string(number) + ": " + *name + " is out of range");
    if (const Instant first = entries.empty() ? *at : entries.front().at;
        *at - first > kLongestDuration || first - *at > kLongestDuration)
      return fail(ErrorCode::invalid_request, "line " + std::to_string(number) + " is more than " +
                                                  to_string(kLongestDuration) + " away from the first");
    entries.push_back({.at = *at, .type = std::move(told), .what = std::move(json)});
  }
  return entries;
}

std::size_t learn_from(Machine& house, const std::vector<Entry>& journal) {
  std::map<ResidentId, SeenOf> seen;
  std::vector<ResidentId> told;
  for (const Entry& entry : journal) {
    if (entry.type == "resident_added" || entry.type == "ticket_arrived") add_ai_model(house, entry.what);
    if (entry.type == "reading_taken")
      set_total(house, text_at(entry.what, "device"), bytes_at(entry.what, "total_bytes"));
    const auto target = target_in(house, entry.what);
    if (!target || !target->resident) continue;
    watch(seen[*target->resident], entry);
    if (entry.type == "learned" &&
        take_learned(house, *target->resident, entry.what.value("learned", Json{})))
      told.push_back(*target->resident);
  }
  bool from_cache = false;
  for (const auto& [id, of] : seen) {
    settle(house, id, of);
    from_cache |= of.cached.times > 0;
    if (of.cold.times + of.cached.times > 0) told.push_back(id);
  }
  // How much host memory there was nobody wrote down; what came from the page cache once shows that there is
  // some.
  if (from_cache)
    for (const Resident& resident : house.world.registry.residents) house.page_cache += resident.footprint;
  std::ranges::sort(told);
  return static_cast<std::size_t>(std::ranges::unique(told).begin() - told.begin());
}

std::size_t learn_from(Machine& house, const Json& status) {
  if (!status.is_object()) return 0;
  std::size_t known = 0;
  for (const Json& device : status.value("devices", Json::array()))
    set_total(house, text_at(device, "id"), bytes_at(device.value("memory", Json::object()), "total_bytes"));
  for (const Json& consumer : status.value("consumers", Json::array())) {
    for (Json resident : consumer.value("residents", Json::array())) {
      resident["consumer"] = text_at(consumer, "name");
      add_ai_model(house, resident);
      const auto target = target_in(house, resident);
      if (!target || !target->resident) continue;
      set_footprint(house, *target->resident, bytes_at(resident, "footprint_bytes"));
      if (take_learned(house, *target->resident, resident.value("learned", Json::object()))) ++known;
    }
  }
  return known;
}

Recorded workload_of(const Machine& house, const std::vector<Entry>& journal) {
  Line line(house, journal.empty() ? Instant{} : journal.front().at);
  for (const Entry& entry : journal) line.hear(entry);
  return line.done();
}

}  // namespace mgpu::simulate
