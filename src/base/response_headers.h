// The headers that every answer of ours says in the same words, whichever door it leaves by.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace mgpu {

// Server-Timing: "queue;dur=1.0, load;dur=0.5, run;dur=45.6", in milliseconds. `total_wait` is arrival to
// grant and contains `current_load`; the header's queue is what remains of it.
std::string server_timing_header(Duration waited, Duration loading, Duration run);

// Retry-After: whole seconds, rounded up, at least 1. None where the error has no advice.
std::optional<std::string> retry_after_header(const Error& error);

}  // namespace mgpu
