// Values of the HTTP response headers that the gateway and the API share.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace mgpu {

// Server-Timing: "queue;dur=1.0, load;dur=0.5, run;dur=45.6", in milliseconds. `waited` is the time from
// arrival to grant and includes `loading`; the header's `queue` is the difference.
std::string server_timing_header(Duration waited, Duration loading, Duration run);

// Retry-After: whole seconds, rounded up, at least 1. None if the error has no retry_after.
std::optional<std::string> retry_after_header(const Error& error);

}  // namespace mgpu
