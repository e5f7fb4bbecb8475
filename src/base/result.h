// Result<T>: a value or an Error. The error codes are a closed list. The name of a code is the same in code,
// JSON, logs, CLI and docs.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace mgpu {

// Each code with its HTTP status (see http_status).
enum class ErrorCode {
  invalid_request,   // 400: the request is malformed or contradictory
  unauthorized,      // 401: missing or wrong credentials
  forbidden,         // 403: a web page that may not use the daemon sent the request
  not_found,         // 404: no such consumer, AI model, ticket or lease
  cancelled,         // 499: the client disconnected, or an operator removed the ticket
  busy,              // 409: the resident has a lease, is pinned or is moving
  not_supported,     // 501: the consumer does not support the operation
  unknown_encoding,  // 415: the body's Content-Encoding is not supported
  too_large,         // 413: body or header exceeds its limit
  request_timeout,   // 408: the body arrived too slowly while its request held a turn
  queue_full,        // 429: the line has reached its limit
  load_failed,       // 503: the load did not succeed; detail has the reason and the last log lines
  service_down,      // 502: the service can't be reached or closed the connection
  out_of_memory,     // 503: the service reports that memory ran out
  shutting_down,     // 503: the daemon drains
  wait_limit,        // 504: the wait limit or the deadline has passed
  never_fits,        // 507: larger than the device; detail says how much is missing
  no_room,           // 507: foreign or pinned memory did not come free within room_limit
  eviction_failed,   // 500: readings did not show the memory free; internal, seen in events
  device_lost,       // 503: the driver no longer answers for the device
  unavailable,       // 503: not up: the daemon (reported by clients), or a service that a look does not start
  invalid_config,    // 400: the configuration file is invalid; at start-up
  internal,          // 500: a library threw an unexpected exception
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string detail{};                      // for people: what failed, with which values, what to do
  std::chrono::microseconds retry_after{0};  // a retry may succeed after this long; 0 = unknown
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string detail) {
  return std::unexpected(Error{code, std::move(detail)});
}

// The wire name: "queue_full".
std::string_view to_string(ErrorCode code);

int http_status(ErrorCode code);

}  // namespace mgpu
