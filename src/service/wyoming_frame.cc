#include "service/wyoming_frame.h"

#include <utility>

namespace mgpu::service {

using nlohmann::json;

namespace {

constexpr std::size_t kMost = static_cast<std::size_t>(kMaxWyomingFrame.count);

// A length that the line announces; none of it: 0, none that makes sense: nullopt.
std::optional<std::size_t> length_at(const json& head, const char* key) {
  const auto at = head.find(key);
  if (at == head.end() || at->is_null()) return 0;
  if (!at->is_number_unsigned() || *at > kMost) return std::nullopt;
  return at->get<std::size_t>();
}

}  // namespace

std::string to_wire(const WyomingFrame& frame) {
  json head{{"type", frame.type}};
  if (!frame.data.empty()) head["data"] = frame.data;
  if (!frame.payload.empty()) head["payload_length"] = frame.payload.size();
  return head.dump() + "\n" + frame.payload;
}

Result<std::optional<ReadFrame>> read_frame(std::string_view bytes) {
  const auto wrong = [](const char* why) {
    return fail(ErrorCode::service_down, std::string("this is not Wyoming: ") + why);
  };
  const auto end = bytes.find('\n');
  if (end == bytes.npos && bytes.size() > kMost) return wrong("no end of the first line");
  if (end == bytes.npos) return std::nullopt;
  const json head = json::parse(bytes.substr(0, end), nullptr, false);
  if (!head.is_object() || !head.contains("type") || !head["type"].is_string())
    return wrong("the line is not a JSON object with a type");
  const auto data = length_at(head, "data_length"), payload = length_at(head, "payload_length");
  if (!data || !payload) return wrong("it announces a length that makes no sense");
  const auto rest = bytes.substr(end + 1);
  if (rest.size() < *data + *payload) return std::nullopt;

  ReadFrame read{.frame = {.type = head["type"], .data = head.value("data", json::object())},
                 .taken = end + 1 + *data + *payload};
  if (!read.frame.data.is_object()) read.frame.data = json::object();
  const json more = json::parse(rest.substr(0, *data), nullptr, false);
  if (*data > 0 && !more.is_object()) return wrong("the data is not a JSON object");
  if (*data > 0) read.frame.data.update(more);
  read.frame.payload = rest.substr(*data, *payload);
  return read;
}

}  // namespace mgpu::service
