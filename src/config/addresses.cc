#include "config/addresses.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include <arpa/inet.h>

#include "config/node.h"
#include "config/variables.h"

namespace mgpu::config {
namespace {

constexpr std::string_view kDigits = "0123456789";

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string_view::npos;
}

bool is_port(std::string_view text, int least) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool has_leading_zero = text.size() > 1 && text.starts_with('0');
  return !text.empty() && !has_leading_zero && error == std::errc{} && end == text.data() + text.size() &&
         port >= least && port <= 65535;
}

struct HostAndPort {
  std::string_view host;
  std::optional<std::string_view> port;  // none: there is no colon
};

// "[::1]:80" -> "[::1]", "80".
HostAndPort split_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

// Why no host can have this name or address. IPv6 is in brackets.
std::optional<std::string> host_problem(std::string_view host) {
  if (host.empty()) return "it names no host, write 127.0.0.1 for this machine";
  const std::string text(host);
  in6_addr address{};  // large enough for IPv4 too
  if (host.starts_with('[')) {
    const std::string inner = text.substr(1, text.size() - 2);
    const std::string without_zone = inner.substr(0, inner.find('%'));
    if (host.ends_with(']') && inet_pton(AF_INET6, without_zone.c_str(), &address) == 1) return std::nullopt;
    return text + " is no IPv6 address in brackets";
  }
  if (inet_pton(AF_INET6, text.c_str(), &address) == 1 || std::ranges::count(host, ':') > 1)
    return "an IPv6 address needs brackets, as in [::1]:8090";
  if (host.find_first_not_of("0123456789.") == std::string_view::npos) {
    if (inet_pton(AF_INET, text.c_str(), &address) == 1) return std::nullopt;
    return text + " is no IPv4 address";
  }
  const auto is_host_character = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c >= 0x80;
  };
  if (std::ranges::all_of(host, is_host_character)) return std::nullopt;
  return text + " is no name of a host";
}

std::optional<std::string> port_problem(std::string_view port, int least) {
  if (is_port(port, least)) return std::nullopt;
  return "port " + in_quotes(port) + " is not a number from " + std::to_string(least) + " to 65535";
}

// "http://user:***@host": a password is not repeated.
std::string without_password(std::string_view url) {
  const std::size_t authority = url.find("://") + 3;
  const std::size_t at = url.rfind('@');
  const std::size_t colon = url.find(':', authority);
  if (at == std::string_view::npos || colon >= at) return std::string(url);
  return std::string(url.substr(0, colon)) + ":***" + std::string(url.substr(at));
}

std::string_view authority_of(std::string_view url) {
  const std::string_view rest = url.substr(url.find("://") + 3);
  return rest.substr(0, rest.find('/'));
}

// Why the text is no URL with this scheme; it begins with one.
std::optional<std::string> problem_after_scheme(std::string_view url) {
  const std::string_view authority = authority_of(url);
  if (authority.contains('@'))
    return "it can't have a user, api_key_env or api_key_file name what holds user:password";
  if (url.find_first_of(" \t\r\n") != std::string_view::npos) return "it has a blank in it";
  if (url.find_first_of("?#") != std::string_view::npos) return "it ends with its path, without ? and #";
  const auto [host, port] = split_host_and_port(authority);
  if (auto problem = host_problem(host)) return problem;
  if (port && *port != kPortPlaceholder) return port_problem(*port, 1);
  return std::nullopt;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

}  // namespace

std::optional<std::string> listen_problem(std::string_view text) {
  const auto refuse = [&](const std::string& hint) {
    return in_quotes(text) + " is not an address: " + hint;
  };
  if (text.contains("://")) return refuse("write HOST:PORT without a scheme, such as 127.0.0.1:8090");
  if (is_digits(text)) return refuse("write the host too, such as 127.0.0.1:" + std::string(text));
  const auto [host, port] = split_host_and_port(text);
  if (!port) return refuse("write HOST:PORT, such as 127.0.0.1:8090");
  if (host.empty())
    return refuse("write 127.0.0.1" + std::string(text) + " for this machine alone, or 0.0.0.0" +
                  std::string(text) + " for all that reach it");
  if (host != "*")
    if (const auto problem = host_problem(host)) return refuse(*problem);
  if (const auto problem = port_problem(*port, 0)) return refuse(*problem);
  return std::nullopt;
}

std::optional<std::string> url_problem(std::string_view url, std::string_view scheme) {
  const auto refuse = [&](const std::string& hint) {
    return in_quotes(without_password(url)) + " is not a URL: " + hint;
  };
  if (url.starts_with("https://")) return "https is not supported for services yet: write an http:// URL";
  if (!url.contains("://"))
    return refuse("write " + std::string(scheme) +
                  std::string(url.contains('/') || url.contains(' ') ? "127.0.0.1:9001" : url));
  if (!url.starts_with(scheme)) return refuse("write " + std::string(scheme) + "127.0.0.1:9001");
  if (const auto problem = problem_after_scheme(url)) return refuse(*problem);
  return std::nullopt;
}

std::optional<std::string> origin_problem(std::string_view origin) {
  const auto refuse = [&](const std::string& hint) {
    return in_quotes(origin) + " is not an origin: " + hint;
  };
  if (origin == "*" || origin == "null") return std::nullopt;
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos || scheme == 0)
    return refuse("it begins with a scheme, such as https://chat.example");
  if (origin.substr(scheme + 3).empty()) return refuse("write the host after ://");
  if (origin.substr(scheme + 3).contains('/'))
    return refuse("it ends with its host or port, without / and path");
  if (origin.contains(' ')) return refuse("write each as an item of its own");
  return std::nullopt;
}

std::optional<std::string> port_mapping_problem(std::string_view text) {
  std::string_view rest = text;
  for (const std::string_view protocol : {"/tcp", "/udp"})
    if (rest.ends_with(protocol)) rest.remove_suffix(protocol.size());
  const auto [host, container] = split_host_and_port(rest);
  const auto is_host_port = [](std::string_view port) {
    return port == kPortPlaceholder || is_port(port, 1);
  };
  const auto is_host_side = [&] {
    if (is_host_port(host)) return true;
    const auto [address, port] = split_host_and_port(host);
    return port && is_host_port(*port) && !host_problem(address);
  };
  if (container ? is_port(*container, 1) && is_host_side() : is_port(host, 1)) return std::nullopt;
  return in_quotes(text) + " is not a port mapping: write 127.0.0.1:${PORT}:8000";
}

std::optional<std::string> volume_problem(std::string_view text) {
  const auto refuse = [&](const std::string& hint) { return in_quotes(text) + " is not a volume: " + hint; };
  const std::size_t first = text.find(':');
  if (first == std::string_view::npos) return refuse("write HOST:CONTAINER, such as /srv/models:/models:ro");
  const std::string_view host = text.substr(0, first);
  const std::string_view rest = text.substr(first + 1);
  const std::string_view container = rest.substr(0, rest.find(':'));
  if (host.starts_with('~')) return refuse("nothing replaces ~ here, write ${env.HOME} instead");
  if (!host.starts_with('/') && (host.empty() || host.contains('/') || host.starts_with('.')))
    return refuse("a folder of the host is an absolute path");
  if (!container.starts_with('/')) return refuse("its place in the container is an absolute path");
  if (rest.size() == container.size()) return std::nullopt;
  const std::string_view options = rest.substr(container.size() + 1);
  const auto is_option_character = [](unsigned char c) { return std::isalpha(c) != 0 || c == ','; };
  if (options.empty() || !std::ranges::all_of(options, is_option_character))
    return refuse("its options are such as ro");
  return std::nullopt;
}

std::optional<std::string> unit_problem(std::string_view unit) {
  constexpr std::string_view kSuffixes[] = {".service", ".scope", ".target", ".slice", ".socket"};
  if (!unit.contains('.')) return in_quotes(unit) + " has no suffix: write " + std::string(unit) + ".service";
  if (std::ranges::none_of(kSuffixes, [&](std::string_view suffix) { return unit.ends_with(suffix); }))
    return in_quotes(unit) + " has no suffix of a unit: write " + std::string(unit) + ".service";
  if (unit.contains("@."))
    return in_quotes(unit) + " is a template: write the instance between @ and the dot";
  if (unit.find_first_of(" /") != std::string_view::npos)
    return in_quotes(unit) + " is not the name of a unit: it has no blanks and slashes";
  return std::nullopt;
}

bool is_own_address(std::string_view url, std::string_view listen) {
  const auto [host, port] = split_host_and_port(authority_of(url));
  const auto [own_host, own_port] = split_host_and_port(listen);
  if (!own_port || *own_port == "0" || port.value_or("80") != *own_port) return false;
  const auto is_local = [](std::string_view name) {
    return name.starts_with("127.") || name == "[::1]" || lower_case(name) == "localhost";
  };
  const bool listens_on_all = own_host == "*" || own_host == "0.0.0.0" || own_host == "[::]";
  return host == own_host ||
         ((is_local(host) || host == "0.0.0.0") && (is_local(own_host) || listens_on_all));
}

}  // namespace mgpu::config
