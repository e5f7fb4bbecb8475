// Checks of addresses, port mappings, volumes and unit names. Each function says why a text is refused, with
// what to write instead; nullopt if it is accepted. Pure: no name is resolved.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mgpu::config {

// HOST:PORT, port 0 to 65535.
std::optional<std::string> listen_problem(std::string_view text);

// SCHEME HOST[:PORT][/PATH]; `scheme` is "http://" or "tcp://". The port may be ${PORT}.
std::optional<std::string> url_problem(std::string_view url, std::string_view scheme);

// SCHEME://HOST[:PORT] as a browser sends it in Origin, where * and ? match; or * alone.
std::optional<std::string> origin_problem(std::string_view origin);

// [ADDRESS:]HOST:CONTAINER[/tcp|/udp], or CONTAINER alone.
std::optional<std::string> port_mapping_problem(std::string_view text);

// HOST:CONTAINER[:OPTIONS]; HOST is an absolute path or the name of a volume.
std::optional<std::string> volume_problem(std::string_view text);

// A unit of systemd that can be started, with its suffix.
std::optional<std::string> unit_problem(std::string_view unit);

// Whether requests to the URL would come back to the daemon that listens at `listen`. REQUIRES: both are
// valid.
bool is_own_address(std::string_view url, std::string_view listen);

}  // namespace mgpu::config
