// A free port for a process: where its command leaves the port open, one is chosen and put in.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "config/config.h"

namespace mgpu::runner {

// Whether the command or env asks for a port: ${PORT} anywhere, "0" after --port or -p, --port=0, or an
// argument that ends in ":0" behind a host.
bool wants_port(const config::ProcessConfig& config);

// The same with `port` in each of those places, and in env as PORT.
config::ProcessConfig with_port(config::ProcessConfig config, std::uint16_t port);

// The text with `port` for every ${PORT}.
std::string with_port(std::string text, std::uint16_t port);

// A TCP port that is free on 127.0.0.1 now. Somebody may take it before the process does; that shows as a
// failed start. Error: load_failed.
Result<std::uint16_t> find_free_port();

}  // namespace mgpu::runner
