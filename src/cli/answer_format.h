// The daemon's answers as people read them. Values in, text out; what a daemon of another version does not
// say is left blank.
#pragma once

#include <string>

#include "client/api_calls.h"

namespace mgpu::cli {

std::string format_status(const client::Json& status);
std::string format_consumers(const client::Json& answer);
std::string format_footprints(const client::Json& answer);
std::string format_line(const client::Json& answer);
// What became of a load, an unload or a park.
std::string format_residency_change(const client::Json& answer);
// Of an explanation: what the daemon says, a sentence a line.
std::string format_explanation(const client::Json& explanation);
std::string format_event(const client::ServerSentEvent& event);
// One line of JSON: the event's data, and its id and name, which the stream tells beside the data.
std::string format_event_json(const client::ServerSentEvent& event);

}  // namespace mgpu::cli
