#include "cli/memory_report.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.h"
#include "cli/json_fields.h"
#include "cli/text_format.h"

namespace mgpu::cli {
namespace {

using client::Json;

constexpr std::int64_t kBarWidth = 64;  // characters

Json make_part(const char* kind, std::string owner, std::int64_t bytes, std::int64_t measured) {
  return {{"kind", kind}, {"who", std::move(owner)}, {"bytes", bytes}, {"measured_bytes", measured}};
}

// Consumers and leases first, then the memory that is not theirs.
Json memory_parts(const Json& memory) {
  Json parts = Json::array();
  for (const Json& owner : memory.value("by_consumer", Json::array())) {
    parts.push_back(make_part("consumer", text_field(owner, "consumer"),
                              integer_field(owner, "committed_bytes"),
                              integer_field(owner, "measured_bytes")));
    parts.back()["expected_bytes"] = integer_field(owner, "expected_bytes");
    parts.back()["parked_bytes"] = integer_field(owner, "parked_bytes");
  }
  if (const auto leases = integer_field(memory, "bare_committed_bytes"); leases > 0)
    parts.push_back(make_part("leases", "bare leases", leases, integer_field(memory, "bare_measured_bytes")));
  const std::int64_t foreign = integer_field(memory, "foreign_bytes");
  parts.push_back(make_part("foreign", "foreign", foreign, foreign));
  parts.push_back(make_part("reserve", "reserve", integer_field(memory, "reserve_bytes"), 0));
  parts.push_back(make_part("free", "free", integer_field(memory, "headroom_bytes"), 0));
  if (const auto driver = integer_field(memory, "driver_reserved_bytes"); driver > 0)
    parts.push_back(make_part("driver", "driver", driver, driver));
  return parts;
}

Json device_report(const Json& device) {
  const Json memory = device.value("memory", Json::object());
  return {
      {"id", text_field(device, "id")},
      {"name", text_field(device, "name")},
      {"total_bytes", integer_field(memory, "total_bytes") + integer_field(memory, "driver_reserved_bytes")},
      {"parked_bytes", integer_field(memory, "parked_bytes")},
      {"attribution", memory.value("attribution", Json(nullptr))},
      {"reading_age_ms", memory.value("reading_age_ms", Json(nullptr))},
      {"lost", device.value("lost", false)},
      {"parts", memory_parts(memory)},
      {"foreign_processes", memory.value("foreign_processes", Json::array())}};
}

// The sign of a part in the bar: a letter for a consumer or the leases, a special character for the others.
char bar_symbol(const Json& part, std::size_t index) {
  const std::string kind = text_field(part, "kind");
  if (kind == "foreign") return '%';
  if (kind == "reserve") return '=';
  if (kind == "free") return '.';
  if (kind == "driver") return '#';
  return static_cast<char>('a' + index % 26);
}

// A bar of kBarWidth characters. The end of each part is rounded from the sum of all parts so far, so that
// rounding errors do not add up.
class MemoryBar {
 public:
  explicit MemoryBar(std::int64_t total) : total_(total) {}
  void add(std::int64_t bytes, char symbol) {
    sum_ += std::max<std::int64_t>(bytes, 0);
    const std::int64_t end = std::min(kBarWidth, (sum_ * kBarWidth + total_ / 2) / total_);
    while (static_cast<std::int64_t>(text_.size()) < end) text_ += symbol;
  }
  std::string text() const { return "[" + text_ + "]"; }

 private:
  std::int64_t total_;
  std::int64_t sum_ = 0;
  std::string text_;
};

std::string format_bar(const Json& device) {
  MemoryBar bar(integer_field(device, "total_bytes"));
  std::size_t index = 0;
  for (const Json& part : device.at("parts")) {
    const char symbol = bar_symbol(part, index++);
    const std::int64_t bytes = integer_field(part, "bytes");
    const bool is_letter = symbol >= 'a' && symbol <= 'z';
    const std::int64_t in_use = is_letter ? std::min(bytes, integer_field(part, "measured_bytes")) : bytes;
    bar.add(in_use, symbol);
    bar.add(bytes - in_use, static_cast<char>(std::toupper(symbol)));
  }
  return bar.text();
}

std::string format_amount(const Json& part, const char* name) {
  return part.contains(name) ? to_string(Bytes{integer_field(part, name)}) : "";
}

std::string format_parts(const Json& device) {
  std::vector<std::vector<std::string>> rows{{"", "OWNER", "COMMITTED", "MEASURED", "EXPECTED", "PARKED"}};
  std::size_t index = 0;
  std::int64_t sum = 0;
  for (const Json& part : device.at("parts")) {
    const std::string kind = text_field(part, "kind");
    const bool is_measured = kind != "reserve" && kind != "free";
    sum += integer_field(part, "bytes");
    rows.push_back({std::string(1, bar_symbol(part, index++)), text_field(part, "who"),
                    format_amount(part, "bytes"), is_measured ? format_amount(part, "measured_bytes") : "",
                    format_amount(part, "expected_bytes"), format_amount(part, "parked_bytes")});
  }
  rows.push_back({"", "total", to_string(Bytes{sum})});
  return format_table(rows);
}

std::string format_foreign_processes(const Json& device) {
  std::string text;
  for (const Json& process : device.at("foreign_processes")) {
    const auto bytes = process.find("bytes");
    const bool is_known = bytes != process.end() && bytes->is_number_integer();
    text += fmt::format("%  pid {} {}: {}\n", integer_field(process, "pid"),
                        is_known ? to_string(Bytes{bytes->get<std::int64_t>()}) : "unknown",
                        text_field(process, "command"));
  }
  return text;
}

std::string format_device(const Json& device) {
  const Json age = device.value("reading_age_ms", Json(nullptr));
  std::string text = fmt::format("{}  {}  {}", text_field(device, "id"), text_field(device, "name"),
                                 to_string(Bytes{integer_field(device, "total_bytes")}));
  if (age.is_number()) text += fmt::format(", read {} ago", format_duration(age.get<double>()));
  if (device.value("lost", false)) text += ", lost: the driver no longer answers";
  if (integer_field(device, "total_bytes") <= 0) return text + "\nthe driver has not been read yet\n";
  text += "\n" + format_bar(device) + "\n" + format_parts(device) + format_foreign_processes(device);
  if (text_field(device, "attribution") == "by_totals")
    text +=
        "The driver does not report memory per process: figures are computed from totals before and after "
        "loads.\n";
  return text;
}

}  // namespace

Json memory_report(const Json& status) {
  Json devices = Json::array();
  for (const Json& device : status.value("devices", Json::array())) devices.push_back(device_report(device));
  return {{"devices", std::move(devices)}};
}

std::string format_memory(const Json& memory) {
  std::string text;
  for (const Json& device : memory.at("devices")) text += (text.empty() ? "" : "\n") + format_device(device);
  text += "\nCapital letters: committed, but not in device memory yet.\n";
  return text;
}

}  // namespace mgpu::cli
