// Result<T>: a value or an Error. The codes are one closed list, and their names are the wire names: the same
// word in code, JSON, logs, CLI and docs.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace mgpu {

// Each code with the HTTP status that it has on the wire (see http_status).
enum class ErrorCode {
  invalid_request,  // 400: what was asked makes no sense
  unauthorized,     // 401: no or wrong credentials
  not_found,        // 404: no such consumer, AI model, ticket, lease
  cancelled,        // 499: the caller went away, or an operator removed it
  busy,             // 409: not while it has a lease or is pinned
  not_supported,    // 501: this consumer can't do that
  too_large,        // 413: body or header over its limit
  request_timeout,  // 408: the body came too slowly while others waited for the turn
  queue_full,       // 429: the line has reached its limit
  load_failed,      // 503: the consumer did not get ready; detail has the reason and the last log lines
  service_down,     // 502: the service broke off or can't be reached
  out_of_memory,    // 503: the service itself reports no memory
  shutting_down,    // 503: the daemon drains
  wait_limit,       // 504: waited as long as it was allowed to
  never_fits,       // 507: larger than the device; detail says how much is missing
  no_room,          // 507: foreign or pinned memory is in the way and did not go
  eviction_failed,  // internal: memory was not seen to come free
  device_lost,      // 503: the driver no longer answers for the device
  unavailable,      // 503: the daemon can't be reached (client side)
  invalid_config,   // start-up: the configuration file is wrong
  internal,         // 500: a library threw what we did not expect
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string detail{};                      // a sentence for the person who reads it at night
  std::chrono::microseconds retry_after{0};  // when asking again may help; 0 = no advice
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string detail) {
  return std::unexpected(Error{code, std::move(detail)});
}

// The wire name: "queue_full". Every code has one.
std::string_view to_string(ErrorCode code);

// The code of a wire name; Code::internal for a name we don't know.
ErrorCode error_code_from_name(std::string_view name);

// The HTTP status of a code.
int http_status(ErrorCode code);

}  // namespace mgpu
