#include "api/lease_request.h"

#include <array>
#include <functional>
#include <limits>

#include "api/codec.h"
#include "domain/enum_names.h"
#include "engine/user_table.h"

namespace mgpu::api {
namespace {

constexpr std::size_t kMaxWho = 256;

Result<std::string> text(const Json& value) {
  if (!value.is_string()) return fail(ErrorCode::invalid_request, "must be a string");
  return value.get<std::string>();
}

Result<Duration> duration(const Json& value) {
  const auto written = text(value);
  if (!written) return std::unexpected(written.error());
  return parse_duration(*written);
}

Result<Bytes> bytes(const Json& value) {
  if (value.is_string()) return parse_bytes(value.get<std::string>());
  if (value.is_number_integer())
    if (const auto count = bytes_from_number(value.get<double>())) return *count;
  return fail(ErrorCode::invalid_request,
              R"(must be an integer or a text like "6GiB", not negative and at most )" +
                  to_exact_string(kLargestBytes));
}

Result<int> pid(const Json& value) {
  if (value == 1)
    return fail(
        ErrorCode::invalid_request,
        "must not be 1, the first process of a machine or a container, above all others: leave it out");
  if (value.is_number_integer() && value.get<double>() > 0 &&
      value.get<double>() <= std::numeric_limits<int>::max())
    return value.get<int>();
  return fail(ErrorCode::invalid_request, "must be a process id");
}

Result<bool> bind(const Json& value) {
  if (value == "connection") return true;
  return fail(ErrorCode::invalid_request, R"(must be "connection")");
}

Result<Priority> priority(const Json& value) {
  if (const auto known = value.is_string() ? priority_from_name(value.get<std::string>()) : std::nullopt)
    return *known;
  return fail(ErrorCode::invalid_request, "must be one of realtime, interactive, normal, batch");
}

Result<std::string> user(const Json& value) {
  Result<std::string> name = text(value);
  if (name && name->size() > engine::kMaxUserLength)
    return fail(ErrorCode::invalid_request, "is longer than " + std::to_string(engine::kMaxUserLength));
  return name;
}

template <class T, class Field>
Result<void> put(Result<T> read, Field& field) {
  if (!read) return std::unexpected(read.error());
  field = std::move(*read);
  return {};
}

struct Key {
  std::string_view name;
  Result<void> (*read)(const Json& value, LeaseRequest& request);
};

constexpr std::array kKeys{
    Key{"consumer", [](const Json& v, LeaseRequest& r) { return put(text(v), r.consumer); }},
    Key{"ai_model", [](const Json& v, LeaseRequest& r) { return put(text(v), r.ai_model); }},
    Key{"device", [](const Json& v, LeaseRequest& r) { return put(text(v), r.device); }},
    Key{"bytes", [](const Json& v, LeaseRequest& r) { return put(bytes(v), r.bytes); }},
    Key{"wait_limit", [](const Json& v, LeaseRequest& r) { return put(duration(v), r.wait_limit); }},
    Key{"ttl", [](const Json& v, LeaseRequest& r) { return put(duration(v), r.ttl); }},
    Key{"bind", [](const Json& v, LeaseRequest& r) { return put(bind(v), r.bound_to_connection); }},
    Key{"pid", [](const Json& v, LeaseRequest& r) { return put(pid(v), r.pid); }},
    Key{"who", [](const Json& v, LeaseRequest& r) { return put(text(v), r.who); }},
    Key{"priority", [](const Json& v, LeaseRequest& r) { return put(priority(v), r.priority); }},
    Key{"user", [](const Json& v, LeaseRequest& r) { return put(user(v), r.user); }},
    Key{"deadline", [](const Json& v, LeaseRequest& r) { return put(duration(v), r.deadline); }},
};

Result<void> read_key(const std::string& name, const Json& value, LeaseRequest& request) {
  std::string known;
  for (const Key& key : kKeys) {
    if (key.name == name) {
      auto read = key.read(value, request);
      if (!read) read.error().detail = name + ": " + read.error().detail;
      return read;
    }
    known += (known.empty() ? "" : ", ") + std::string(key.name);
  }
  return fail(ErrorCode::invalid_request, "unknown key \"" + name + "\"; known: " + known);
}

}  // namespace

Result<LeaseRequest> parse_lease_request(std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::invalid_request, "the body must be a JSON object");
  LeaseRequest request;
  for (const auto& [name, value] : json.items()) {
    if (value.is_null()) continue;
    if (auto read = read_key(name, value, request); !read) return std::unexpected(read.error());
  }
  if (request.consumer.empty() && request.bytes.count == 0)
    return fail(ErrorCode::invalid_request, R"(say for whom: "consumer", or "bytes" for a bare reservation)");
  if (request.ttl && *request.ttl <= Duration{0})
    return fail(ErrorCode::invalid_request, "ttl: must be longer than 0");
  request.who.resize(std::min(request.who.size(), kMaxWho));
  return request;
}

}  // namespace mgpu::api
