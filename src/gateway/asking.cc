#include "gateway/asking.h"

#include "base/ascii.h"
#include "domain/enum_names.h"
#include "engine/user_table.h"

namespace mgpu::gateway {
namespace {

constexpr std::string_view kOurs = "x-mgpu-";
constexpr std::string_view kBearer = "bearer ";

Error wrong(const std::string& name, const std::string& why) {
  return {ErrorCode::invalid_request, name + ": " + why};
}

// Zero where the header is not there.
Result<Duration> duration_in(const http::Headers& headers, const std::string& name) {
  const std::string_view text = http::header(headers, name);
  if (text.empty()) return Duration{0};
  const Result<Duration> duration = parse_duration(text);
  if (!duration) return std::unexpected(wrong(name, duration.error().detail));
  if (*duration <= Duration{0}) return std::unexpected(wrong(name, "must be longer than 0"));
  return duration;
}

}  // namespace

Result<Asking> asking_of(const http::Headers& headers) {
  Asking asking;
  if (const std::string_view name = http::header(headers, "X-Mgpu-Priority"); !name.empty()) {
    asking.priority = priority_from_name(name);
    if (!asking.priority)
      return std::unexpected(
          wrong("X-Mgpu-Priority",
                "\"" + std::string(name) + "\" is not one of realtime, interactive, normal, batch"));
  }
  asking.user = http::header(headers, "X-Mgpu-User");
  if (asking.user.size() > engine::kMaxUserLength)
    return std::unexpected(wrong("X-Mgpu-User", "is longer than " + std::to_string(engine::kMaxUserLength)));
  const auto wait_limit = duration_in(headers, "X-Mgpu-Wait-Limit");
  if (!wait_limit) return std::unexpected(wait_limit.error());
  asking.wait_limit = *wait_limit;
  const auto deadline = duration_in(headers, "X-Mgpu-Deadline");
  if (!deadline) return std::unexpected(deadline.error());
  asking.deadline = *deadline;
  const std::string_view authorization = http::header(headers, "Authorization");
  if (starts_with_ignore_case(authorization, kBearer)) asking.api_key = authorization.substr(kBearer.size());
  return asking;
}

bool is_for_us(std::string_view name) { return starts_with_ignore_case(name, kOurs); }

}  // namespace mgpu::gateway
