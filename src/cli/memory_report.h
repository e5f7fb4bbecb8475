// `mgpu memory`: the memory of each device by owner.
#pragma once

#include <string>

#include "client/api_calls.h"

namespace mgpu::cli {

// Made from the response of /v1/status: {"devices": [{id, name, total_bytes, attribution, reading_age_ms,
// lost, parked_bytes, parts: [{kind, who, bytes, measured_bytes, expected_bytes, parked_bytes}],
// foreign_processes}]}. `kind` is consumer, leases, foreign, reserve, free or driver. The `bytes` of all
// parts add up to total_bytes, the driver's figure; those of a consumer are its committed bytes. `free` is
// negative where more is in use than fits.
client::Json memory_report(const client::Json& status);

// A bar and a table for each device of a memory_report().
std::string format_memory(const client::Json& memory);

}  // namespace mgpu::cli
