// Refuses requests that a web page made a browser send without the user's wish. A page may send requests to
// any address that its browser reaches, this daemon's included; the headers tell that a page did:
//
//   Host             after DNS rebinding it still names the page's own host, which is not this machine
//   Origin           the page's origin; browsers add it to every request that may change something
//   Sec-Fetch-Site   whether the page is of this site; older browsers omit it
//
// Programs that are not browsers send a Host of this machine and neither of the others. Sources: the Fetch
// standard; RFC 6454; RFC 6761 and RFC 8375 for names that are never public.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace mgpu::auth {

enum class Plane : std::uint8_t { control, data };

struct AllowedSites {
  std::vector<std::string> hosts{};  // names under which the daemon is reached, beside those of this machine
  std::vector<std::string> origins{};  // origins whose pages may use the data plane; "*": all
};

// Whether `host` (the header's value, with or without a port) can only mean this machine or its local
// network: an IP address, a name without a dot, or one below localhost, local, internal, lan or home.arpa; or
// one of `allowed`, which may contain shell wildcards.
bool is_own_host(std::string_view host, const std::vector<std::string>& allowed);

// Whether `origin` matches one of `allowed` (shell wildcards, case-insensitive; "*" matches all).
bool is_allowed_origin(const std::vector<std::string>& allowed, std::string_view origin);

// Error: forbidden, naming the header and the key that allows it. Safe methods (GET, HEAD, OPTIONS) without an
// upgrade pass from any origin, since the browser withholds the response from the page. Everything else passes
// to the data plane only from own pages and allowed origins, and to the control plane only from own pages.
Result<void> check_browser_request(const http::RequestHead& head, Plane plane, const AllowedSites& allowed);

}  // namespace mgpu::auth
