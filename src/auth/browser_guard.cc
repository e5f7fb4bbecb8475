#include "auth/browser_guard.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/ascii.h"
#include "base/pattern.h"

namespace mgpu::auth {
namespace {

bool is_ip_address(const std::string& name) {
  in6_addr address{};
  return ::inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

// The name or address of "name:port", "[::1]:port" and both without a port; a final dot is dropped.
std::string host_name(std::string_view host) {
  if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return std::string(host);
}

bool is_below(std::string_view name, std::string_view domain) {
  return name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' &&
         equals_ignore_case(name.substr(name.size() - domain.size()), domain);
}

// What an origin has after its scheme: "https://name:port" -> "name:port".
std::string_view origin_host(std::string_view origin) {
  const std::size_t scheme_end = origin.find("://");
  return scheme_end == std::string_view::npos ? std::string_view{} : origin.substr(scheme_end + 3);
}

bool is_safe(const http::RequestHead& head) {
  constexpr std::array<std::string_view, 3> kSafeMethods{"GET", "HEAD", "OPTIONS"};
  return std::ranges::find(kSafeMethods, head.method) != kSafeMethods.end() &&
         http::header(head.headers, "Upgrade").empty();
}

std::unexpected<Error> wrong_host(std::string_view host) {
  return fail(ErrorCode::forbidden,
              fmt::format("Host: {} is not a name of this machine; if it is one, add it to `hosts` in the "
                          "configuration",
                          host));
}

std::unexpected<Error> wrong_origin(std::string_view origin, Plane plane) {
  const std::string_view advice =
      plane == Plane::control ? "pages of other origins may not use the control plane"
                              : "add it to `origins` in the configuration if its pages may use the AI models";
  return fail(ErrorCode::forbidden, fmt::format("a page of {} sent this request: {}", origin, advice));
}

}  // namespace

bool is_own_host(std::string_view host, const std::vector<std::string>& allowed) {
  constexpr std::array<std::string_view, 5> kLocalDomains{"localhost", "local", "internal", "lan",
                                                          "home.arpa"};
  const std::string name = host_name(host);
  if (is_ip_address(name) || !name.contains('.')) return true;
  const auto contains_name = [&](std::string_view domain) { return is_below(name, domain); };
  return std::ranges::any_of(kLocalDomains, contains_name) || matches_any_pattern(allowed, name);
}

bool is_allowed_origin(const std::vector<std::string>& allowed, std::string_view origin) {
  return !origin.empty() && matches_any_pattern(allowed, std::string(origin));
}

Result<void> check_browser_request(const http::RequestHead& head, Plane plane, const AllowedSites& allowed) {
  const std::string_view host = http::header(head.headers, "Host");
  if (!is_own_host(host, allowed.hosts)) return wrong_host(host);
  if (is_safe(head)) return {};
  const std::string_view origin = http::header(head.headers, "Origin");
  if (origin.empty()) {
    const std::string_view site = http::header(head.headers, "Sec-Fetch-Site");
    const bool is_of_other_site = site == "cross-site" || site == "same-site";
    if (is_of_other_site) return wrong_origin("another site", plane);
    return {};
  }
  if (equals_ignore_case(origin_host(origin), host)) return {};
  if (plane == Plane::data && is_allowed_origin(allowed.origins, origin)) return {};
  return wrong_origin(origin, plane);
}

}  // namespace mgpu::auth
