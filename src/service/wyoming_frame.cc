#include "service/wyoming_frame.h"

#include <utility>

namespace mgpu::service {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxFrameSize = static_cast<std::size_t>(kMaxWyomingFrame.count);

// A length that the line announces: 0 where it is missing, nullopt where it is no length or too large.
std::optional<std::size_t> parse_length(const json& head, const char* key) {
  const auto at = head.find(key);
  if (at == head.end() || at->is_null()) return 0;
  if (!at->is_number_unsigned() || *at > kMaxFrameSize) return std::nullopt;
  return at->get<std::size_t>();
}

}  // namespace

std::string serialize_frame(const WyomingFrame& frame) {
  json head{{"type", frame.type}};
  if (!frame.data.empty()) head["data"] = frame.data;
  if (!frame.payload.empty()) head["payload_length"] = frame.payload.size();
  return head.dump() + "\n" + frame.payload;
}

Result<std::optional<ParsedFrame>> parse_frame(std::string_view bytes) {
  const auto invalid_frame = [](const char* reason) {
    return fail(ErrorCode::service_down, std::string("not a Wyoming frame: ") + reason);
  };
  const auto end = bytes.find('\n');
  if (end == bytes.npos && bytes.size() > kMaxFrameSize) return invalid_frame("the first line does not end");
  if (end == bytes.npos) return std::nullopt;
  const json head = json::parse(bytes.substr(0, end), nullptr, false);
  if (!head.is_object() || !head.contains("type") || !head["type"].is_string())
    return invalid_frame("the line is not a JSON object with a type");
  const auto data = parse_length(head, "data_length"), payload = parse_length(head, "payload_length");
  if (!data || !payload) return invalid_frame("data_length or payload_length is not a length up to 8 MiB");
  const auto rest = bytes.substr(end + 1);
  if (rest.size() < *data + *payload) return std::nullopt;

  ParsedFrame read{.frame = {.type = head["type"], .data = head.value("data", json::object())},
                   .consumed = end + 1 + *data + *payload};
  if (!read.frame.data.is_object()) read.frame.data = json::object();
  const json data_after_line = json::parse(rest.substr(0, *data), nullptr, false);
  if (*data > 0 && !data_after_line.is_object()) return invalid_frame("the data is not a JSON object");
  if (*data > 0) read.frame.data.update(data_after_line);
  read.frame.payload = rest.substr(*data, *payload);
  return read;
}

}  // namespace mgpu::service
