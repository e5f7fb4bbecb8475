#include "cli/show.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "cli/text.h"

namespace mgpu::cli {
namespace {

using client::Json;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kCommandShown = 40;

std::string text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double number_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

std::string bytes_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return "";
  return to_string(Bytes{found->get<std::int64_t>()});
}

std::string ms_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? duration_text(found->get<double>()) : "";
}

// The list itself, or the list under this name.
Json list_in(const Json& json, const char* name) {
  if (json.is_array()) return json;
  return json.is_object() ? json.value(name, Json::array()) : Json::array();
}

// A name for each device, and below it who owns how much of its memory.
std::string show_devices(const Json& devices) {
  Rows rows{{"DEVICE", "MEMORY", "HELD", "EXPECTED", "WAITING", "RUNNING", "JOBS", "LAST WAIT", "LAST RUN"}};
  for (const Json& device : devices) {
    const Json memory = device.value("memory", Json::object());
    rows.push_back({text_at(device, "id") + (device.value("lost", false) ? " (lost)" : ""),
                    bytes_at(memory, "total_bytes"), bytes_at(memory, "measured_bytes"),
                    bytes_at(memory, "committed_bytes"), text_at(device, "queue_depth"),
                    text_at(device, "in_flight"), text_at(device, "total_jobs"),
                    ms_at(device, "last_wait_ms"), ms_at(device, "last_run_ms")});
    if (const Json yielding = device.value("yielding_to", Json()); yielding.is_object())
      rows.push_back({"  yielding to " + text_at(yielding, "command").substr(0, kCommandShown) + " (" +
                      text_at(yielding, "pid") + ")"});
    for (const Json& owner : memory.value("by_consumer", Json::array()))
      rows.push_back({"  " + text_at(owner, "consumer"), "", bytes_at(owner, "measured_bytes"),
                      bytes_at(owner, "committed_bytes")});
    for (const auto& [field, name] : {std::pair{"foreign_bytes", "  foreign"},
                                      {"reserve_bytes", "  reserve"},
                                      {"headroom_bytes", "  headroom"}})
      rows.push_back({name, "", bytes_at(memory, field)});
  }
  return table(rows);
}

// Blank where nothing was seen yet.
std::string seen_ms(const Json& json, const char* name) {
  return number_at(json, name) > 0 ? ms_at(json, name) : "";
}

// Of all its residents, the ones that the consumer may hold: "14.0 GiB", or the largest of several. Who only
// takes leases has no residents, but a footprint.
std::string footprint_of(const Json& consumer) {
  const Json residents = consumer.value("residents", Json::array());
  std::int64_t largest = residents.empty() ? consumer.value("footprint_bytes", std::int64_t{0}) : 0;
  for (const Json& resident : residents)
    largest = std::max(largest, resident.value("footprint_bytes", std::int64_t{0}));
  return largest == 0 ? "" : to_string(Bytes{largest});
}

// Why a failed consumer failed, without the lines of its log; empty for others.
std::string error_of(const Json& consumer) {
  for (const Json& resident : consumer.value("residents", Json::array()))
    if (const std::string error = text_at(resident, "error"); !error.empty())
      return error.substr(0, std::min(error.find('\n'), error.find("; last log lines:")));
  return "";
}

// Only where it is not what most have.
std::string priority_of(const Json& ticket) {
  const std::string priority = text_at(ticket, "priority");
  return priority == "normal" ? "" : priority;
}

// What only few tickets have gets a column where one of them has it.
Rows without_empty_columns(Rows rows) {
  for (std::size_t column = rows.front().size(); column-- > 0;) {
    const bool empty = std::ranges::all_of(rows.begin() + 1, rows.end(),
                                           [&](const auto& row) { return row.at(column).empty(); });
    if (!empty) continue;
    for (auto& row : rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
  }
  return rows;
}

// "gpu0", or "gpu0+gpu1" where it is split.
std::string devices_of(const Json& consumer) {
  std::string text;
  for (const Json& device : list_in(consumer, "devices"))
    text += (text.empty() ? "" : "+") + device.get<std::string>();
  return text;
}

}  // namespace

std::string show_status(const Json& status) {
  const std::string oldest = text_at(status, "oldest_queued");
  std::string text =
      fmt::format("{} waiting, {} running, {} jobs done{}\n\n", number_at(status, "queue_depth"),
                  number_at(status, "in_flight"), number_at(status, "total_jobs"),
                  oldest.empty() ? "" : ", the oldest waits since " + oldest);
  text += show_devices(list_in(status.value("devices", Json::array()), "devices"));
  text += "\n" + show_consumers(status.value("consumers", Json::array()));
  const Json line = status.value("line", Json::array());
  if (!line.empty()) text += "\n" + show_line(line);
  return text;
}

std::string show_consumers(const Json& answer) {
  Rows rows{{"CONSUMER", "KIND", "DEVICE", "STATE", "FOOTPRINT", "RUNNING", "WAITING", ""}};
  for (const Json& consumer : list_in(answer, "consumers"))
    rows.push_back({text_at(consumer, "name"), text_at(consumer, "kind"), devices_of(consumer),
                    text_at(consumer, "state"), footprint_of(consumer), text_at(consumer, "running"),
                    text_at(consumer, "waiting"), error_of(consumer)});
  return rows.size() == 1 ? "no consumers\n" : table(rows);
}

std::string show_footprints(const Json& answer) {
  Rows rows{{"RESIDENT", "FOOTPRINT", "HOW IT IS KNOWN", "DECLARED", "WORKING", "LOAD: DISK", "CACHE",
             "PARKED", "UNLOAD", "JOB", "JOBS"}};
  for (const Json& one : list_in(answer, "footprints")) {
    const std::string ai_model = text_at(one, "ai_model");
    const Json learned = one.value("learned", Json::object());
    const bool seen_working = number_at(learned, "working_bytes") > number_at(one, "declared_working_bytes");
    rows.push_back(
        {text_at(one, "consumer") + (ai_model.empty() ? "" : "/" + ai_model), bytes_at(one, "expected_bytes"),
         text_at(one, "why"), bytes_at(one, "declared_bytes"),
         seen_working ? bytes_at(learned, "working_bytes") : bytes_at(one, "declared_working_bytes"),
         seen_ms(learned, "load_cold_ms"), seen_ms(learned, "load_cached_ms"),
         seen_ms(learned, "load_parked_ms"), seen_ms(learned, "unload_ms"), seen_ms(learned, "run_ms"),
         text_at(learned, "runs")});
  }
  return rows.size() == 1 ? "no consumers\n" : table(rows);
}

std::string show_line(const Json& answer) {
  Rows rows{{"TICKET", "STAGE", "PLACE", "CONSUMER", "DEVICE", "PRIORITY", "USER", "WAITED", "STARTS IN",
             "RUNNING", "WHO"}};
  for (const Json& ticket : list_in(answer, "line")) {
    const std::string ai_model = text_at(ticket, "ai_model");
    rows.push_back({text_at(ticket, "ticket"), text_at(ticket, "stage"), text_at(ticket, "place"),
                    text_at(ticket, "consumer") + (ai_model.empty() ? "" : "/" + ai_model),
                    text_at(ticket, "device"), priority_of(ticket), text_at(ticket, "user"),
                    ms_at(ticket, "waiting_ms") + (ticket.value("overtaken", false) ? " (overtaken)" : ""),
                    ms_at(ticket, "estimated_wait_ms"), ms_at(ticket, "running_ms"), text_at(ticket, "who")});
  }
  return rows.size() == 1 ? "nobody waits or runs\n" : table(without_empty_columns(std::move(rows)));
}

std::string show_steered(const Json& answer) {
  const std::string consumer = text_at(answer, "consumer");
  if (answer.contains("state"))
    return fmt::format("{} is {} (waited {}, loading {})\n", consumer, text_at(answer, "state"),
                       ms_at(answer, "waited_ms"), ms_at(answer, "loading_ms"));
  std::string text;
  for (const Json& one : list_in(answer, "evicted")) {
    const std::string ai_model = text_at(one, "ai_model");
    text +=
        fmt::format("{}{} is {}\n", consumer, ai_model.empty() ? "" : "/" + ai_model, text_at(one, "state"));
  }
  return text.empty() ? consumer + " held nothing\n" : text;
}

std::string show_sentences(const Json& explanation) {
  std::string text;
  for (const Json& sentence : list_in(explanation, "sentences"))
    text += (sentence.is_string() ? sentence.get<std::string>() : sentence.dump()) + "\n";
  return text;
}

// "2026-11-24T13:10:00.123Z  granted  ticket=7 waited_ms=12"
std::string show_event(const client::ServerSentEvent& event) {
  const Json json = Json::parse(event.data, nullptr, false);
  if (!json.is_object()) return event.data;
  const std::string type = event.type.empty() ? text_at(json, "type") : event.type;
  std::string text = fmt::format("{}  {:<16}", text_at(json, "at"), type);
  for (const auto& [name, value] : json.items()) {
    const bool told_by_explain = name == "considered";
    if (name == "at" || name == "type" || name == "id" || told_by_explain || value.is_null()) continue;
    const bool amount = name.ends_with("bytes") && value.is_number_integer();
    const std::string shown =
        amount ? to_string(Bytes{value.get<std::int64_t>()}) : text_at(json, name.c_str());
    text += fmt::format(" {}={}", name, shown);
  }
  return text;
}

std::string event_json(const client::ServerSentEvent& event) {
  Json json = Json::parse(event.data, nullptr, false);
  if (!json.is_object()) json = {{"data", event.data}};
  Json named = {{"id", event.id.empty() ? Json() : Json(std::stoull(event.id))}, {"event", event.type}};
  named.update(json);
  return named.dump();
}

}  // namespace mgpu::cli
