#include "http/endpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace mgpu::http {
namespace {

struct SchemeName {
  Scheme scheme;
  std::string_view prefix;
  std::uint16_t default_port;
};
constexpr std::array<SchemeName, 4> kSchemes{{{Scheme::http, "http://", 80},
                                              {Scheme::https, "https://", 443},
                                              {Scheme::tcp, "tcp://", 80},
                                              {Scheme::unix, "unix://", 0}}};

// Characters that end or divide parts of a URL, or that may stand in none of its parts.
constexpr std::string_view kNotInHost = ":/?#@[]\\\"<>^`{|}";
constexpr std::string_view kNotInPath = "?#";

bool has_control_or_blank(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c <= ' ') || c == 0x7f; });
}

bool is_host_name(std::string_view host) {
  return !host.empty() && !has_control_or_blank(host) && host.find_first_of(kNotInHost) == host.npos;
}

// A zone may follow the address: "fe80::1%eth0".
bool is_ipv6_address(std::string_view host) {
  const std::string_view address = host.substr(0, host.find('%'));
  const bool zone_is_valid = address.size() == host.size() || is_host_name(host.substr(address.size() + 1));
  return zone_is_valid && address.contains(':') &&
         address.find_first_not_of("0123456789abcdefABCDEF:.") == address.npos;
}

std::optional<std::uint16_t> parse_port(std::string_view digits) {
  std::uint16_t port = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc{} || at != end) return std::nullopt;
  return port;
}

// Parses "host", "host:port", "[::1]" or "[::1]:port" into `endpoint`, whose port stays where `text` has
// none. Returns what is wrong with it, or nothing.
std::optional<std::string> parse_authority(std::string_view text, Endpoint& endpoint) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == text.npos || !is_ipv6_address(text.substr(1, bracket - 1)))
      return "only an IPv6 address stands in brackets, like [::1]";
    endpoint.host = text.substr(1, bracket - 1);
    rest = text.substr(bracket + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    endpoint.host = text.substr(0, colon);
    rest = text.substr(colon);
    if (endpoint.host.empty()) return "the host is missing";
    if (!is_host_name(endpoint.host)) return fmt::format("\"{}\" is not a host name", endpoint.host);
    if (rest.rfind(':') != 0 && !rest.empty()) return "an IPv6 address needs brackets, like [::1]";
  }
  if (rest.empty()) return std::nullopt;
  const auto port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
  if (!port)
    return fmt::format("\"{}\" is not a port: 1 to 65535", rest.substr(rest.starts_with(':') ? 1 : 0));
  endpoint.port = *port;
  return std::nullopt;
}

std::string authority(const Endpoint& endpoint) {
  return endpoint.host.contains(':') ? fmt::format("[{}]:{}", endpoint.host, endpoint.port)
                                     : fmt::format("{}:{}", endpoint.host, endpoint.port);
}

std::unexpected<Error> invalid_url(std::string_view url, std::string_view reason) {
  return fail(ErrorCode::invalid_request, fmt::format("\"{}\" is not a usable URL: {}", url, reason));
}

}  // namespace

Result<Endpoint> parse_url(std::string_view url) {
  const auto scheme =
      std::ranges::find_if(kSchemes, [&](const SchemeName& one) { return url.starts_with(one.prefix); });
  if (scheme == kSchemes.end())
    return invalid_url(url, "it begins with none of http://, https://, tcp:// and unix://");
  const std::string_view rest = url.substr(scheme->prefix.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view path = rest.substr(slash);
  if (has_control_or_blank(rest) || path.find_first_of(kNotInPath) != path.npos)
    return invalid_url(url, "it has a blank, a control character, a query or a fragment");
  if (scheme->scheme == Scheme::unix) {
    if (slash != 0 || path.empty() || path.ends_with('/'))
      return invalid_url(url,
                         "write unix:// and the absolute path of a socket, like unix:///run/docker.sock");
    return unix_endpoint(std::string(path));
  }
  Endpoint endpoint{.scheme = scheme->scheme, .port = scheme->default_port, .path = std::string(path)};
  if (const auto wrong = parse_authority(rest.substr(0, slash), endpoint)) return invalid_url(url, *wrong);
  if (endpoint.port == 0) return invalid_url(url, "nothing listens on port 0");
  while (endpoint.path.ends_with('/')) endpoint.path.pop_back();
  return endpoint;
}

Result<Endpoint> parse_listen_address(std::string_view text) {
  Endpoint endpoint;
  auto wrong = parse_authority(text, endpoint);
  const bool has_port = text.contains(':') && !text.ends_with(']');
  if (!wrong && !has_port) wrong = "the port is missing";
  if (!wrong) return endpoint;
  return fail(ErrorCode::invalid_request,
              fmt::format("can't listen on \"{}\": {}; write 127.0.0.1:8090", text, *wrong));
}

Endpoint unix_endpoint(std::string socket_path) {
  return {.scheme = Scheme::unix, .host = std::move(socket_path)};
}

std::string to_url(const Endpoint& endpoint) {
  const auto& scheme = *std::ranges::find(kSchemes, endpoint.scheme, &SchemeName::scheme);
  const std::string where = endpoint.scheme == Scheme::unix ? endpoint.host : authority(endpoint);
  return fmt::format("{}{}{}", scheme.prefix, where, endpoint.path);
}

std::string host_header(const Endpoint& endpoint) {
  return endpoint.scheme == Scheme::unix ? "localhost" : authority(endpoint);
}

std::string display_name(const Endpoint& endpoint) {
  return endpoint.scheme == Scheme::unix ? endpoint.host : authority(endpoint);
}

bool is_loopback_address(std::string_view address) {
  constexpr std::string_view kMappedPrefix = "::ffff:";
  if (address.starts_with(kMappedPrefix)) address.remove_prefix(kMappedPrefix.size());
  return address.starts_with("127.") || address == "::1";
}

}  // namespace mgpu::http
