// The changes to a forwarded request and response: only those that RFC 9110 (7.6) requires of a proxy, and
// the AI model's name where the service does not know the one that the client used.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "http/message.h"

namespace mgpu::gateway {

// Whether a header applies to one connection only and is not forwarded. `connection`: the value of the
// message's Connection header, which names further ones.
bool is_hop_by_hop(std::string_view name, std::string_view connection);

// The headers of a message that are forwarded. `is_upgrade`: also Upgrade, since an upgrade joins both
// connections into one.
http::Headers forwarded_headers(const http::Headers& headers, bool is_upgrade);

// The X-Forwarded-For to send: the received one, if any, and the client's address.
std::string forwarded_for(std::string_view received, std::string_view client_address);

// The name to write into the body in place of `requested`; none: the body stays unchanged. `resident_model`
// is the AI model of the resolved resident ("" if the consumer has just one), `configured_models` the AI
// models in the consumer's configuration. A name that the service may know is not replaced.
std::optional<std::string> service_model_name(config::ServiceType type, std::string_view requested,
                                              std::string_view resident_model,
                                              const std::vector<std::string>& configured_models);

// Whether the request upgrades its connection to a WebSocket. Only these upgrades are forwarded. A server may
// ignore all others (RFC 9110, 7.8); clients that offer h2c expect that.
bool asks_websocket_upgrade(const http::RequestHead& head);

}  // namespace mgpu::gateway
