#include "base/result.h"

#include <array>

namespace mgpu {
namespace {

struct Row {
  Code code;
  std::string_view name;
  int status;
};

constexpr std::array kRows{
    Row{Code::invalid_request, "invalid_request", 400},
    Row{Code::unauthorized, "unauthorized", 401},
    Row{Code::not_found, "not_found", 404},
    Row{Code::cancelled, "cancelled", 499},
    Row{Code::busy, "busy", 409},
    Row{Code::not_supported, "not_supported", 501},
    Row{Code::too_large, "too_large", 413},
    Row{Code::request_timeout, "request_timeout", 408},
    Row{Code::queue_full, "queue_full", 429},
    Row{Code::load_failed, "load_failed", 503},
    Row{Code::service_down, "service_down", 502},
    Row{Code::out_of_memory, "out_of_memory", 503},
    Row{Code::shutting_down, "shutting_down", 503},
    Row{Code::wait_limit, "wait_limit", 504},
    Row{Code::never_fits, "never_fits", 507},
    Row{Code::no_room, "no_room", 507},
    Row{Code::eviction_failed, "eviction_failed", 500},
    Row{Code::device_lost, "device_lost", 503},
    Row{Code::unavailable, "unavailable", 503},
    Row{Code::invalid_config, "invalid_config", 400},
    Row{Code::internal, "internal", 500},
};

constexpr bool rows_follow_the_enum() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].code != static_cast<Code>(i)) return false;
  return kRows.size() == static_cast<std::size_t>(Code::internal) + 1;
}
static_assert(rows_follow_the_enum());

const Row& row_of(Code code) { return kRows[static_cast<std::size_t>(code)]; }

}  // namespace

std::string_view to_string(Code code) { return row_of(code).name; }

Code code_from_name(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return row.code;
  return Code::internal;
}

int http_status(Code code) { return row_of(code).status; }

}  // namespace mgpu
