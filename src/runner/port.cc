#include "runner/port.h"

#include <cstddef>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mgpu::runner {

namespace {

constexpr std::string_view kPortPlaceholder = "${PORT}";

// Fills in each placeholder of one argument; returns whether there was any.
bool fill_placeholder(std::string& text, std::string_view previous_argument, bool is_argument,
                      const std::string& port) {
  bool found = false;
  for (auto at = text.find(kPortPlaceholder); at != text.npos;
       at = text.find(kPortPlaceholder, at + port.size())) {
    text.replace(at, kPortPlaceholder.size(), port);
    found = true;
  }
  if (!is_argument || found) return found;
  const bool alone = text == "0" && (previous_argument == "--port" || previous_argument == "-p");
  const bool joined = text == "--port=0" || (text.size() > 2 && text.ends_with(":0"));
  if (!alone && !joined) return false;
  text.replace(text.size() - 1, 1, port);
  return true;
}

bool fill_placeholders(config::ProcessConfig& config, const std::string& port) {
  bool found = false;
  std::string previous_argument;
  for (auto& argument : config.command) {
    const std::string original = argument;
    found |= fill_placeholder(argument, previous_argument, true, port);
    previous_argument = original;
  }
  for (auto& [name, value] : config.env) found |= fill_placeholder(value, "", false, port);
  return found;
}

}  // namespace

bool wants_port(const config::ProcessConfig& config) {
  auto copy = config;
  return fill_placeholders(copy, "1");
}

bool wants_port(const std::string& url) { return url.find(kPortPlaceholder) != url.npos; }

config::ProcessConfig with_port(config::ProcessConfig config, std::uint16_t port) {
  fill_placeholders(config, std::to_string(port));
  config.env["PORT"] = std::to_string(port);
  return config;
}

std::string with_port(std::string text, std::uint16_t port) {
  fill_placeholder(text, "", false, std::to_string(port));
  return text;
}

Result<http::Endpoint> resolve_url(const std::string& url, std::optional<std::uint16_t> port) {
  auto endpoint = http::parse_url(port ? with_port(url, *port) : url);
  if (!endpoint) return fail(ErrorCode::invalid_config, endpoint.error().detail);
  return endpoint;
}

std::optional<http::Endpoint> local_endpoint(const std::string& url, std::optional<std::uint16_t> port) {
  if (url.empty())
    return port ? std::optional(http::Endpoint{.host = "127.0.0.1", .port = *port}) : std::nullopt;
  auto endpoint = resolve_url(url, port);
  return endpoint ? std::optional(*std::move(endpoint)) : std::nullopt;
}

Result<std::uint16_t> find_free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw_address = reinterpret_cast<sockaddr*>(&address);
  const bool ok = fd >= 0 && bind(fd, raw_address, size) == 0 && getsockname(fd, raw_address, &size) == 0;
  if (fd >= 0) close(fd);
  if (!ok)
    return fail(ErrorCode::load_failed, "no TCP port is free on 127.0.0.1 (net.ipv4.ip_local_port_range)");
  return ntohs(address.sin_port);
}

}  // namespace mgpu::runner
