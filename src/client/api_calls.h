// Calls to the control plane, /v1: JSON requests, and the stream of events.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include <nlohmann/json.hpp>

#include "mgpu/client.h"

namespace mgpu::client {

using Json = nlohmann::ordered_json;

// Return the response's JSON (null for an empty body). Failures: the code of the daemon's {"error": {"code",
// "message"}}, unavailable, cancelled; internal if the server at `url` is not mgpu.
Outcome<Json> get(const std::string& url, const std::string& path, const std::stop_token& stop = {});
Outcome<Json> post(const std::string& url, const std::string& path, const Json& body = {},
                   const std::stop_token& stop = {});
Outcome<Json> del(const std::string& url, const std::string& path, const std::stop_token& stop = {});

// The Failure of an error response; its code is internal where the body has none.
Failure parse_failure(int status, const std::string& body);

struct ServerSentEvent {
  std::string id{};
  std::string type{};
  std::string data{};
};

// Calls `on_event` for each event of an SSE stream until the stream ends, a stop is requested, or `on_event`
// returns false. `last_id`: resume after this event; empty: begin with the oldest one that the daemon keeps.
Outcome<void> follow_events(const std::string& url, const std::string& path, const std::string& last_id,
                            const std::function<bool(const ServerSentEvent&)>& on_event,
                            const std::stop_token& stop = {});

}  // namespace mgpu::client
