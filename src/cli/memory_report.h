// `mgpu memory`: who holds what of each device. Values in, values out.
#pragma once

#include <string>

#include "client/api_calls.h"

namespace mgpu::cli {

// From the answer of /v1/status: {"devices": [{id, name, total_bytes, attribution, reading_age_ms,
// parked_bytes, parts: [{who, kind, bytes, measured_bytes, expected_bytes, parked_bytes}],
// foreign_processes}]}. The `bytes` of all parts add up to total_bytes, which is the driver's own number; a
// consumer's are what it is committed to. `class_and_user` is consumer, leases, foreign, reserve, free or
// driver. Where more is in use than there should be, free is negative.
client::Json memory_report(const client::Json& status);

// Of what memory_of() says, a bar and a table for each device.
std::string format_memory(const client::Json& memory);

}  // namespace mgpu::cli
