#include "gateway/queue_options.h"

#include "base/ascii.h"
#include "domain/enum_names.h"

namespace mgpu::gateway {
namespace {

constexpr std::string_view kMgpuPrefix = "x-mgpu-";

Error invalid_header(const std::string& name, const std::string& why) {
  return {ErrorCode::invalid_request, name + ": " + why};
}

// Zero if the header is absent.
Result<Duration> parse_duration_header(const http::Headers& headers, const std::string& name) {
  const std::string_view text = http::header(headers, name);
  if (text.empty()) return Duration{0};
  const Result<Duration> duration = parse_duration(text);
  if (!duration) return std::unexpected(invalid_header(name, duration.error().detail));
  if (*duration <= Duration{0}) return std::unexpected(invalid_header(name, "must be longer than 0"));
  return duration;
}

}  // namespace

Result<QueueOptions> parse_queue_options(const http::Headers& headers) {
  QueueOptions options;
  if (const std::string_view name = http::header(headers, "X-Mgpu-Priority"); !name.empty()) {
    options.priority = priority_from_name(name);
    if (!options.priority)
      return std::unexpected(
          invalid_header("X-Mgpu-Priority",
                         "\"" + std::string(name) + "\" is not one of realtime, interactive, normal, batch"));
  }
  const auto wait_limit = parse_duration_header(headers, "X-Mgpu-Wait-Limit");
  if (!wait_limit) return std::unexpected(wait_limit.error());
  options.wait_limit = *wait_limit;
  const auto deadline = parse_duration_header(headers, "X-Mgpu-Deadline");
  if (!deadline) return std::unexpected(deadline.error());
  options.deadline = *deadline;
  return options;
}

bool is_mgpu_header(std::string_view name) { return starts_with_ignore_case(name, kMgpuPrefix); }

}  // namespace mgpu::gateway
