// The daemon's answers as people read them. Values in, text out; what a daemon of another version does not
// say is left blank.
#pragma once

#include <string>

#include "client/api_calls.h"

namespace mgpu::cli {

std::string show_status(const client::Json& status);
std::string show_consumers(const client::Json& answer);
std::string show_footprints(const client::Json& answer);
std::string show_line(const client::Json& answer);
// What became of a load, an unload or a park.
std::string show_steered(const client::Json& answer);
// Of an explanation: what the daemon says, a sentence a line.
std::string show_sentences(const client::Json& explanation);
std::string show_event(const client::ServerSentEvent& event);
// One line of JSON: the event's data, and its id and name, which the stream tells beside the data.
std::string event_json(const client::ServerSentEvent& event);

}  // namespace mgpu::cli
