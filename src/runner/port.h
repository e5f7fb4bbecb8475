// The port of an application: chooses a free port and fills it in where the command, the environment or the
// URL has a placeholder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "http/endpoint.h"

namespace mgpu::runner {

// Whether the command or env requires a port: ${PORT} anywhere, "0" after --port or -p, --port=0, or an
// argument that ends in ":0" after a host.
bool wants_port(const config::ProcessConfig& config);
// Whether the url has ${PORT}.
bool wants_port(const std::string& url);

// The configuration with `port` in each of those places, and in env as PORT.
config::ProcessConfig with_port(config::ProcessConfig config, std::uint16_t port);

// The text with `port` for every ${PORT}.
std::string with_port(std::string text, std::uint16_t port);

// The address in an application's URL; `port` replaces ${PORT}. Error: invalid_config.
Result<http::Endpoint> resolve_url(const std::string& url, std::optional<std::uint16_t> port);

// Where a run on this host listens: at its URL, or without one at `port` of 127.0.0.1. Null: neither is
// known, or the URL has ${PORT} and no port is known.
std::optional<http::Endpoint> local_endpoint(const std::string& url, std::optional<std::uint16_t> port);

// A TCP port that is free on 127.0.0.1 now. Another program may take it before the application does; then the
// start fails. Error: load_failed.
Result<std::uint16_t> find_free_port();

}  // namespace mgpu::runner
