// Formats the daemon's responses as text for a terminal. Fields that a daemon of another version does not
// send are left blank.
#pragma once

#include <string>

#include "client/api_calls.h"

namespace mgpu::cli {

std::string format_status(const client::Json& status);
std::string format_consumers(const client::Json& answer);
std::string format_footprints(const client::Json& answer);
std::string format_line(const client::Json& answer);
// The result of a load, an unload or a park.
std::string format_residency_change(const client::Json& answer);
// The sentences of an explanation, one per line.
std::string format_explanation(const client::Json& explanation);
// One line: time, type and fields.
std::string format_event(const client::ServerSentEvent& event);
// One line of JSON: the event's data, and its id and type, which the stream sends beside the data.
std::string format_event_json(const client::ServerSentEvent& event);

}  // namespace mgpu::cli
