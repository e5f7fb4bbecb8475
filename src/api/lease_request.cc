#include "api/lease_request.h"

#include <array>
#include <functional>
#include <limits>

#include "api/codec.h"
#include "domain/enum_names.h"
#include "domain/principal.h"

namespace mgpu::api {
namespace {

constexpr std::size_t kMaxRequestWho = 256;

Result<std::string> string_from_json(const Json& value) {
  if (!value.is_string()) return fail(ErrorCode::invalid_request, "must be a string");
  return value.get<std::string>();
}

Result<Duration> duration_from_json(const Json& value) {
  const auto written = string_from_json(value);
  if (!written) return std::unexpected(written.error());
  return parse_duration(*written);
}

Result<Bytes> bytes_from_json(const Json& value) {
  if (value.is_string()) return parse_bytes(value.get<std::string>());
  if (value.is_number_integer())
    if (const auto count = bytes_from_number(value.get<double>())) return *count;
  return fail(ErrorCode::invalid_request,
              R"(must be an integer or a text like "6GiB", not negative and at most )" +
                  to_exact_string(kLargestBytes));
}

Result<int> pid_from_json(const Json& value) {
  if (value == 1)
    return fail(
        ErrorCode::invalid_request,
        "must not be 1, the first process of a machine or a container, above all others: leave it out");
  if (value.is_number_integer() && value.get<double>() > 0 &&
      value.get<double>() <= std::numeric_limits<int>::max())
    return value.get<int>();
  return fail(ErrorCode::invalid_request, "must be a process id");
}

Result<bool> bind_from_json(const Json& value) {
  if (value == "connection") return true;
  return fail(ErrorCode::invalid_request, R"(must be "connection")");
}

Result<Priority> priority_from_json(const Json& value) {
  if (const auto known = value.is_string() ? priority_from_name(value.get<std::string>()) : std::nullopt)
    return *known;
  return fail(ErrorCode::invalid_request, "must be one of realtime, interactive, normal, batch");
}

Result<std::string> user_from_json(const Json& value) {
  Result<std::string> name = string_from_json(value);
  if (name && name->size() > kMaxUserLength)
    return fail(ErrorCode::invalid_request, "is longer than " + std::to_string(kMaxUserLength));
  return name;
}

template <class T, class Field>
Result<void> assign(Result<T> read, Field& field) {
  if (!read) return std::unexpected(read.error());
  field = std::move(*read);
  return {};
}

struct RequestKey {
  std::string_view name;
  Result<void> (*read)(const Json& value, LeaseRequest& request);
};

constexpr std::array kRequestKeys{
    RequestKey{"consumer",
               [](const Json& v, LeaseRequest& r) { return assign(string_from_json(v), r.consumer); }},
    RequestKey{"ai_model",
               [](const Json& v, LeaseRequest& r) { return assign(string_from_json(v), r.ai_model); }},
    RequestKey{"device",
               [](const Json& v, LeaseRequest& r) { return assign(string_from_json(v), r.device); }},
    RequestKey{"bytes", [](const Json& v, LeaseRequest& r) { return assign(bytes_from_json(v), r.bytes); }},
    RequestKey{"wait_limit",
               [](const Json& v, LeaseRequest& r) { return assign(duration_from_json(v), r.wait_limit); }},
    RequestKey{"ttl", [](const Json& v, LeaseRequest& r) { return assign(duration_from_json(v), r.ttl); }},
    RequestKey{"bind", [](const Json& v,
                          LeaseRequest& r) { return assign(bind_from_json(v), r.bound_to_connection); }},
    RequestKey{"pid", [](const Json& v, LeaseRequest& r) { return assign(pid_from_json(v), r.pid); }},
    RequestKey{"who", [](const Json& v, LeaseRequest& r) { return assign(string_from_json(v), r.who); }},
    RequestKey{"priority",
               [](const Json& v, LeaseRequest& r) { return assign(priority_from_json(v), r.priority); }},
    RequestKey{"user", [](const Json& v, LeaseRequest& r) { return assign(user_from_json(v), r.user); }},
    RequestKey{"deadline",
               [](const Json& v, LeaseRequest& r) { return assign(duration_from_json(v), r.deadline); }},
};

Result<void> read_key(const std::string& name, const Json& value, LeaseRequest& request) {
  std::string known;
  for (const RequestKey& key : kRequestKeys) {
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
  request.who.resize(std::min(request.who.size(), kMaxRequestWho));
  return request;
}

}  // namespace mgpu::api
