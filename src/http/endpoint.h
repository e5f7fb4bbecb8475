// Endpoint: where a server listens. URLs and listen addresses are parsed here, and written here as a URL, as
// a Host header and as a name in error messages. Pure: no name is resolved.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mgpu::http {

enum class Scheme : std::uint8_t {
  http,
  https,  // parsed; connecting and listening fail with not_supported until there is TLS
  tcp,    // a byte stream that is not HTTP (Wyoming)
  unix,   // HTTP over a Unix socket
};

struct Endpoint {
  Scheme scheme = Scheme::http;
  std::string host{};      // name or address, IPv6 without brackets; unix: the path of the socket's file
  std::uint16_t port = 0;  // unix: 0. To listen on: 0 takes a free one
  std::string path{};      // prefix of every request's target: "" or "/...", without a slash at its end

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// "http://127.0.0.1:9001/base", "https://host", "tcp://127.0.0.1:10300", "unix:///run/docker.sock". Without a
// port: 443 for https, else 80. Strict: no user, query or fragment, IPv6 only in brackets, port 1 to 65535.
// Error: invalid_request.
Result<Endpoint> parse_url(std::string_view url);

// An address to listen on, without a scheme: "127.0.0.1:8090", "[::1]:0" (a free port), "*:8090" (all of
// IPv4). Error: invalid_request.
Result<Endpoint> parse_listen_address(std::string_view text);

Endpoint unix_endpoint(std::string socket_path);

// The URL that parse_url turns into the same endpoint. Always has the port.
std::string to_url(const Endpoint& endpoint);

// The value of a Host header: "127.0.0.1:9001", "[::1]:9001"; unix: "localhost".
std::string host_header(const Endpoint& endpoint);

// For error messages: "127.0.0.1:9001", "[::1]:9001", "/run/docker.sock".
std::string display_name(const Endpoint& endpoint);

// Whether a peer with this address is a program on this machine. As Asio formats it: "127.0.0.1", "::1", and
// "::ffff:127.0.0.1" where an IPv6 listener accepts an IPv4 client.
bool is_loopback_address(std::string_view address);

}  // namespace mgpu::http
