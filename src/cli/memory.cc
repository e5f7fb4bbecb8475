#include "cli/memory.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.h"
#include "cli/text.h"

namespace mgpu::cli {
namespace {

using client::Json;

constexpr std::int64_t kBarWidth = 64;

std::int64_t bytes_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

Json part(const char* kind, std::string who, std::int64_t bytes, std::int64_t measured) {
  return {{"kind", kind}, {"who", std::move(who)}, {"bytes", bytes}, {"measured_bytes", measured}};
}

// Whoever holds or is promised something first, then what nobody of ours may have.
Json parts_of(const Json& memory) {
  Json parts = Json::array();
  for (const Json& owner : memory.value("by_consumer", Json::array())) {
    parts.push_back(part("consumer", text_at(owner, "consumer"), bytes_at(owner, "committed_bytes"),
                         bytes_at(owner, "measured_bytes")));
    parts.back()["expected_bytes"] = bytes_at(owner, "expected_bytes");
    parts.back()["parked_bytes"] = bytes_at(owner, "parked_bytes");
  }
  if (const auto leases = bytes_at(memory, "bare_committed_bytes"); leases > 0)
    parts.push_back(part("leases", "bare leases", leases, bytes_at(memory, "bare_measured_bytes")));
  const std::int64_t foreign = bytes_at(memory, "foreign_bytes");
  parts.push_back(part("foreign", "foreign", foreign, foreign));
  parts.push_back(part("reserve", "reserve", bytes_at(memory, "reserve_bytes"), 0));
  parts.push_back(part("free", "free", bytes_at(memory, "headroom_bytes"), 0));
  if (const auto driver = bytes_at(memory, "driver_reserved_bytes"); driver > 0)
    parts.push_back(part("driver", "driver", driver, driver));
  return parts;
}

Json memory_of_device(const Json& device) {
  const Json memory = device.value("memory", Json::object());
  return {{"id", text_at(device, "id")},
          {"name", text_at(device, "name")},
          {"total_bytes", bytes_at(memory, "total_bytes") + bytes_at(memory, "driver_reserved_bytes")},
          {"parked_bytes", bytes_at(memory, "parked_bytes")},
          {"attribution", memory.value("attribution", Json(nullptr))},
          {"reading_age_ms", memory.value("reading_age_ms", Json(nullptr))},
          {"lost", device.value("lost", false)},
          {"parts", parts_of(memory)},
          {"foreign_processes", memory.value("foreign_processes", Json::array())}};
}

// "a" where it is, "A" where it is promised; the others have signs of their own.
char sign_of(const Json& part, std::size_t place) {
  const std::string kind = text_at(part, "kind");
  if (kind == "foreign") return '%';
  if (kind == "reserve") return '=';
  if (kind == "free") return '.';
  if (kind == "driver") return '#';
  return static_cast<char>('a' + place % 26);
}

// Each part ends where the sum so far says, so that rounding never adds up.
class Bar {
 public:
  explicit Bar(std::int64_t total) : total_(total) {}
  void add(std::int64_t bytes, char sign) {
    sum_ += std::max<std::int64_t>(bytes, 0);
    const std::int64_t end = std::min(kBarWidth, (sum_ * kBarWidth + total_ / 2) / total_);
    while (static_cast<std::int64_t>(text_.size()) < end) text_ += sign;
  }
  std::string text() const { return "[" + text_ + "]"; }

 private:
  std::int64_t total_;
  std::int64_t sum_ = 0;
  std::string text_;
};

std::string bar_of(const Json& device) {
  Bar bar(bytes_at(device, "total_bytes"));
  std::size_t place = 0;
  for (const Json& part : device.at("parts")) {
    const char sign = sign_of(part, place++);
    const std::int64_t bytes = bytes_at(part, "bytes");
    const bool letter = sign >= 'a' && sign <= 'z';
    const std::int64_t there = letter ? std::min(bytes, bytes_at(part, "measured_bytes")) : bytes;
    bar.add(there, sign);
    bar.add(bytes - there, static_cast<char>(std::toupper(sign)));
  }
  return bar.text();
}

std::string amount(const Json& part, const char* name) {
  return part.contains(name) ? to_string(Bytes{bytes_at(part, name)}) : "";
}

std::string table_of(const Json& device) {
  std::vector<std::vector<std::string>> rows{{"", "WHO", "COMMITTED", "MEASURED", "EXPECTED", "PARKED"}};
  std::size_t place = 0;
  std::int64_t sum = 0;
  for (const Json& part : device.at("parts")) {
    const std::string kind = text_at(part, "kind");
    const bool measured = kind != "reserve" && kind != "free";
    sum += bytes_at(part, "bytes");
    rows.push_back({std::string(1, sign_of(part, place++)), text_at(part, "who"), amount(part, "bytes"),
                    measured ? amount(part, "measured_bytes") : "", amount(part, "expected_bytes"),
                    amount(part, "parked_bytes")});
  }
  rows.push_back({"", "total", to_string(Bytes{sum})});
  return table(rows);
}

std::string foreign_of(const Json& device) {
  std::string text;
  for (const Json& process : device.at("foreign_processes")) {
    const auto bytes = process.find("bytes");
    const bool known = bytes != process.end() && bytes->is_number_integer();
    text += fmt::format("%  pid {} {}: {}\n", bytes_at(process, "pid"),
                        known ? to_string(Bytes{bytes->get<std::int64_t>()}) : "unknown",
                        text_at(process, "command"));
  }
  return text;
}

std::string show_device(const Json& device) {
  const Json age = device.value("reading_age_ms", Json(nullptr));
  std::string text = fmt::format("{}  {}  {}", text_at(device, "id"), text_at(device, "name"),
                                 to_string(Bytes{bytes_at(device, "total_bytes")}));
  if (age.is_number()) text += fmt::format(", read {} ago", duration_text(age.get<double>()));
  if (device.value("lost", false)) text += ", LOST: the driver no longer answers";
  if (bytes_at(device, "total_bytes") <= 0) return text + "\nnot read yet\n";
  text += "\n" + bar_of(device) + "\n" + table_of(device) + foreign_of(device);
  if (text_at(device, "attribution") == "by_totals")
    text +=
        "The driver does not tell what each process holds: reckoned from totals before and after loads.\n";
  return text;
}

}  // namespace

Json memory_of(const Json& status) {
  Json devices = Json::array();
  for (const Json& device : status.value("devices", Json::array()))
    devices.push_back(memory_of_device(device));
  return {{"devices", std::move(devices)}};
}

std::string show_memory(const Json& memory) {
  std::string text;
  for (const Json& device : memory.at("devices")) text += (text.empty() ? "" : "\n") + show_device(device);
  text += "\nCapital letters: promised, but not there yet.\n";
  return text;
}

}  // namespace mgpu::cli
