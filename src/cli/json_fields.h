// Reads fields of the daemon's JSON responses. A field that is missing or of another type, as in a response
// of another version of the daemon, reads as empty.
#pragma once

#include <cstdint>
#include <string>

#include "client/api_calls.h"

namespace mgpu::cli {

// A string as it is, another value as JSON; "" where it is null or missing.
std::string text_field(const client::Json& json, const char* name);

// 0 where it is missing or no number.
double number_field(const client::Json& json, const char* name);

// 0 where it is missing or no integer.
std::int64_t integer_field(const client::Json& json, const char* name);

}  // namespace mgpu::cli
