// Calls of the control plane, /v1: JSON there and back, and the stream of events.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include <nlohmann/json.hpp>

#include "mgpu/client.h"

namespace mgpu::client {

using Json = nlohmann::ordered_json;

// The answer's JSON (null for an empty body). Failures: the daemon's {"error": {"code", "message"}},
// unavailable, cancelled; internal if what answers is no mgpu.
Outcome<Json> get(const std::string& url, const std::string& path, const std::stop_token& stop = {});
Outcome<Json> post(const std::string& url, const std::string& path, const Json& body = {},
                   const std::stop_token& stop = {});
Outcome<Json> del(const std::string& url, const std::string& path, const std::stop_token& stop = {});

// The Failure that an error body means; `status` where the body does not say.
Failure parse_failure(int status, const std::string& body);

struct ServerSentEvent {
  std::string id{};
  std::string type{};
  std::string data{};
};

// Hands over each event of an SSE stream until the stream ends, a stop is requested, or `each` returns false.
// `last_id`: resume after this one; empty: from the beginning of what is kept.
Outcome<void> follow_events(const std::string& url, const std::string& path, const std::string& last_id,
                            const std::function<bool(const ServerSentEvent&)>& on_event,
                            const std::stop_token& stop = {});

}  // namespace mgpu::client
