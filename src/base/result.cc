#include "base/result.h"

#include <array>

namespace mgpu {
namespace {

struct ErrorCodeRow {
  ErrorCode code;
  std::string_view name;
  int status;
};

constexpr std::array kRows{
    ErrorCodeRow{ErrorCode::invalid_request, "invalid_request", 400},
    ErrorCodeRow{ErrorCode::unauthorized, "unauthorized", 401},
    ErrorCodeRow{ErrorCode::forbidden, "forbidden", 403},
    ErrorCodeRow{ErrorCode::not_found, "not_found", 404},
    ErrorCodeRow{ErrorCode::cancelled, "cancelled", 499},
    ErrorCodeRow{ErrorCode::busy, "busy", 409},
    ErrorCodeRow{ErrorCode::not_supported, "not_supported", 501},
    ErrorCodeRow{ErrorCode::unknown_encoding, "unknown_encoding", 415},
    ErrorCodeRow{ErrorCode::too_large, "too_large", 413},
    ErrorCodeRow{ErrorCode::request_timeout, "request_timeout", 408},
    ErrorCodeRow{ErrorCode::queue_full, "queue_full", 429},
    ErrorCodeRow{ErrorCode::load_failed, "load_failed", 503},
    ErrorCodeRow{ErrorCode::service_down, "service_down", 502},
    ErrorCodeRow{ErrorCode::out_of_memory, "out_of_memory", 503},
    ErrorCodeRow{ErrorCode::shutting_down, "shutting_down", 503},
    ErrorCodeRow{ErrorCode::wait_limit, "wait_limit", 504},
    ErrorCodeRow{ErrorCode::never_fits, "never_fits", 507},
    ErrorCodeRow{ErrorCode::no_room, "no_room", 507},
    ErrorCodeRow{ErrorCode::eviction_failed, "eviction_failed", 500},
    ErrorCodeRow{ErrorCode::device_lost, "device_lost", 503},
    ErrorCodeRow{ErrorCode::unavailable, "unavailable", 503},
    ErrorCodeRow{ErrorCode::invalid_config, "invalid_config", 400},
    ErrorCodeRow{ErrorCode::internal, "internal", 500},
};

constexpr bool rows_match_enum_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].code != static_cast<ErrorCode>(i)) return false;
  return kRows.size() == static_cast<std::size_t>(ErrorCode::internal) + 1;
}
static_assert(rows_match_enum_order());

const ErrorCodeRow& find_row(ErrorCode code) { return kRows[static_cast<std::size_t>(code)]; }

}  // namespace

std::string_view to_string(ErrorCode code) { return find_row(code).name; }

int http_status(ErrorCode code) { return find_row(code).status; }

}  // namespace mgpu
