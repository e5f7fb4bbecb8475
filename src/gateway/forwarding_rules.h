// What changes in a request and a response on their way through: only what RFC 9110 (7.6) asks of a proxy,
// and the AI model's name where the service would not know the one that the client used.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace mgpu::gateway {

// Whether a header belongs to one connection only and is not forwarded. `connection`: the value of the
// message's Connection header, which names further ones.
bool is_hop_by_hop(std::string_view name, std::string_view connection);

// The headers of a message that are forwarded. `is_upgrade`: Upgrade is forwarded as well, since an upgrade
// makes one connection of both.
http::Headers forwarded_headers(const http::Headers& headers, bool is_upgrade);

// The X-Forwarded-For to send: what the client sent, if anything, and its address.
std::string forwarded_for(std::string_view received, std::string_view client_address);

// The name to write into the body in place of `requested`, or none where the body stays as it is.
// `resident_model` is the AI model of the resident that it was resolved to ("" where the consumer has just
// one), `configured_models` the AI models that the consumer's configuration names. A name that the service
// itself may know is left alone.
std::optional<std::string> service_model_name(std::string_view requested, std::string_view resident_model,
                                              const std::vector<std::string>& configured_models);

// Whether a consumer's path takes no turn. A path with ".." in it never is free: the service would read it as
// another path.
bool is_free_path(const std::vector<std::string>& free_paths, std::string_view target);

}  // namespace mgpu::gateway
