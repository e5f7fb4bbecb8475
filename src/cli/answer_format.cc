#include "cli/answer_format.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "cli/json_fields.h"
#include "cli/text_format.h"

namespace mgpu::cli {
namespace {

using client::Json;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kMaxCommandLength = 40;

std::string format_bytes_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return "";
  return to_string(Bytes{found->get<std::int64_t>()});
}

std::string format_ms_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? format_duration(found->get<double>()) : "";
}

// `json` itself if it is a list, else the list of this name.
Json list_field(const Json& json, const char* name) {
  if (json.is_array()) return json;
  return json.is_object() ? json.value(name, Json::array()) : Json::array();
}

// "ollama/llama3.2:3b", or "chat" where the consumer has only one resident.
std::string resident_label(const Json& json) {
  const std::string ai_model = text_field(json, "ai_model");
  return text_field(json, "consumer") + (ai_model.empty() ? "" : "/" + ai_model);
}

// A row for each device; below it one for each owner of its memory.
std::string format_devices(const Json& devices) {
  Rows rows{
      {"DEVICE", "TOTAL", "MEASURED", "COMMITTED", "WAITING", "RUNNING", "JOBS", "LAST WAIT", "LAST RUN"}};
  for (const Json& device : devices) {
    const Json memory = device.value("memory", Json::object());
    rows.push_back({text_field(device, "id") + (device.value("lost", false) ? " (lost)" : ""),
                    format_bytes_field(memory, "total_bytes"), format_bytes_field(memory, "measured_bytes"),
                    format_bytes_field(memory, "committed_bytes"), text_field(device, "queue_depth"),
                    text_field(device, "in_flight"), text_field(device, "total_jobs"),
                    format_ms_field(device, "last_wait_ms"), format_ms_field(device, "last_run_ms")});
    if (const Json yielding = device.value("yielding_to", Json()); yielding.is_object())
      rows.push_back({"  yielding to " + text_field(yielding, "command").substr(0, kMaxCommandLength) + " (" +
                      text_field(yielding, "pid") + ")"});
    for (const Json& owner : memory.value("by_consumer", Json::array()))
      rows.push_back({"  " + text_field(owner, "consumer"), "", format_bytes_field(owner, "measured_bytes"),
                      format_bytes_field(owner, "committed_bytes")});
    for (const auto& [field, name] : {std::pair{"foreign_bytes", "  foreign"},
                                      {"reserve_bytes", "  reserve"},
                                      {"headroom_bytes", "  headroom"}})
      rows.push_back({name, "", format_bytes_field(memory, field)});
  }
  return format_table(rows);
}

// Blank where nothing was measured yet.
std::string format_nonzero_ms_field(const Json& json, const char* name) {
  return number_field(json, name) > 0 ? format_ms_field(json, name) : "";
}

// The largest footprint of its residents; a consumer that only takes leases has a footprint of its own.
std::string consumer_footprint(const Json& consumer) {
  const Json residents = consumer.value("residents", Json::array());
  std::int64_t largest = residents.empty() ? consumer.value("footprint_bytes", std::int64_t{0}) : 0;
  for (const Json& resident : residents)
    largest = std::max(largest, resident.value("footprint_bytes", std::int64_t{0}));
  return largest == 0 ? "" : to_string(Bytes{largest});
}

// The error of a failed consumer, without the lines of its log; else what its operator should mend.
std::string consumer_remark(const Json& consumer) {
  for (const Json& resident : consumer.value("residents", Json::array()))
    if (const std::string error = text_field(resident, "error"); !error.empty())
      return error.substr(0, std::min(error.find('\n'), error.find("; last log lines:")));
  const Json notes = consumer.value("notes", Json::array());
  return notes.empty() ? "" : notes.front().get<std::string>();
}

// Empty for the default, so that the column appears only where a ticket has another class.
std::string unusual_priority(const Json& ticket) {
  const std::string priority = text_field(ticket, "priority");
  return priority == "normal" ? "" : priority;
}

// Leaves out the columns that are empty in all rows but the first.
Rows without_empty_columns(Rows rows) {
  for (std::size_t column = rows.front().size(); column-- > 0;) {
    const bool empty = std::ranges::all_of(rows.begin() + 1, rows.end(),
                                           [&](const auto& row) { return row.at(column).empty(); });
    if (!empty) continue;
    for (auto& row : rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
  }
  return rows;
}

// "gpu0", or "gpu0+gpu1" for several.
std::string consumer_devices(const Json& consumer) {
  std::string text;
  for (const Json& device : list_field(consumer, "devices"))
    text += (text.empty() ? "" : "+") + device.get<std::string>();
  return text;
}

}  // namespace

std::string format_status(const Json& status) {
  const std::string oldest = text_field(status, "oldest_queued");
  std::string text =
      fmt::format("{} waiting, {} running, {} jobs done{}\n\n", number_field(status, "queue_depth"),
                  number_field(status, "in_flight"), number_field(status, "total_jobs"),
                  oldest.empty() ? "" : ", oldest waiting since " + oldest);
  text += format_devices(list_field(status.value("devices", Json::array()), "devices"));
  text += "\n" + format_consumers(status.value("consumers", Json::array()));
  const Json line = status.value("line", Json::array());
  if (!line.empty()) text += "\n" + format_line(line);
  return text;
}

std::string format_consumers(const Json& answer) {
  Rows rows{{"CONSUMER", "KIND", "DEVICE", "STATE", "FOOTPRINT", "RUNNING", "WAITING", ""}};
  for (const Json& consumer : list_field(answer, "consumers"))
    rows.push_back({text_field(consumer, "name"), text_field(consumer, "kind"), consumer_devices(consumer),
                    text_field(consumer, "state"), consumer_footprint(consumer),
                    text_field(consumer, "running"), text_field(consumer, "waiting"),
                    consumer_remark(consumer)});
  return rows.size() == 1 ? "no consumers\n" : format_table(rows);
}

std::string format_footprints(const Json& answer) {
  Rows rows{{"RESIDENT", "FOOTPRINT", "SOURCE", "DECLARED", "WORKING", "DISK LOAD", "CACHED LOAD", "UNPARK",
             "UNLOAD", "RUN", "RUNS"}};
  for (const Json& footprint : list_field(answer, "footprints")) {
    const Json learned = footprint.value("learned", Json::object());
    const bool has_learned_working =
        number_field(learned, "working_bytes") > number_field(footprint, "declared_working_bytes");
    rows.push_back(
        {resident_label(footprint), format_bytes_field(footprint, "expected_bytes"),
         text_field(footprint, "why"), format_bytes_field(footprint, "declared_bytes"),
         has_learned_working ? format_bytes_field(learned, "working_bytes")
                             : format_bytes_field(footprint, "declared_working_bytes"),
         format_nonzero_ms_field(learned, "load_cold_ms"), format_nonzero_ms_field(learned, "load_cached_ms"),
         format_nonzero_ms_field(learned, "load_parked_ms"), format_nonzero_ms_field(learned, "unload_ms"),
         format_nonzero_ms_field(learned, "run_ms"), text_field(learned, "runs")});
  }
  return rows.size() == 1 ? "no consumers\n" : format_table(rows);
}

std::string format_line(const Json& answer) {
  Rows rows{{"TICKET", "STAGE", "PLACE", "CONSUMER", "DEVICE", "PRIORITY", "USER", "WAITED", "STARTS IN",
             "RUNNING", "CALLER"}};
  for (const Json& ticket : list_field(answer, "line")) {
    rows.push_back(
        {text_field(ticket, "ticket"), text_field(ticket, "stage"), text_field(ticket, "place"),
         resident_label(ticket), text_field(ticket, "device"), unusual_priority(ticket),
         text_field(ticket, "user"),
         format_ms_field(ticket, "waiting_ms") + (ticket.value("overtaken", false) ? " (overtaken)" : ""),
         format_ms_field(ticket, "estimated_wait_ms"), format_ms_field(ticket, "running_ms"),
         text_field(ticket, "who")});
  }
  return rows.size() == 1 ? "no ticket waits or runs\n"
                          : format_table(without_empty_columns(std::move(rows)));
}

std::string format_residency_change(const Json& answer) {
  const std::string consumer = text_field(answer, "consumer");
  if (answer.contains("state"))
    return fmt::format("{} is {} (waited {}, of which loading {})\n", consumer, text_field(answer, "state"),
                       format_ms_field(answer, "waited_ms"), format_ms_field(answer, "loading_ms"));
  std::string text;
  for (const Json& resident : list_field(answer, "evicted")) {
    const std::string ai_model = text_field(resident, "ai_model");
    text += fmt::format("{}{} is {}\n", consumer, ai_model.empty() ? "" : "/" + ai_model,
                        text_field(resident, "state"));
  }
  return text.empty() ? consumer + " had nothing in device memory\n" : text;
}

std::string format_explanation(const Json& explanation) {
  std::string text;
  for (const Json& sentence : list_field(explanation, "sentences"))
    text += (sentence.is_string() ? sentence.get<std::string>() : sentence.dump()) + "\n";
  return text;
}

// "2026-11-24T13:10:00.123Z  granted  ticket=7 waited_ms=12"
std::string format_event(const client::ServerSentEvent& event) {
  const Json json = Json::parse(event.data, nullptr, false);
  if (!json.is_object()) return event.data;
  const std::string type = event.type.empty() ? text_field(json, "type") : event.type;
  std::string text = fmt::format("{}  {:<16}", text_field(json, "at"), type);
  for (const auto& [name, value] : json.items()) {
    const bool is_explanation_only = name == "considered";
    if (name == "at" || name == "type" || name == "id" || is_explanation_only || value.is_null()) continue;
    const bool is_amount = name.ends_with("bytes") && value.is_number_integer();
    const std::string value_text =
        is_amount ? to_string(Bytes{value.get<std::int64_t>()}) : text_field(json, name.c_str());
    text += fmt::format(" {}={}", name, value_text);
  }
  return text;
}

std::string format_event_json(const client::ServerSentEvent& event) {
  Json json = Json::parse(event.data, nullptr, false);
  if (!json.is_object()) json = {{"data", event.data}};
  Json complete = {{"id", event.id.empty() ? Json() : Json(std::stoull(event.id))}, {"event", event.type}};
  complete.update(json);
  return complete.dump();
}

}  // namespace mgpu::cli
