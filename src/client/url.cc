#include "client/url.h"

#include <cstdlib>
#include <string_view>

namespace mgpu::client {

Outcome<HostPort> parse_url(const std::string& url) {
  const Failure refusal{"invalid_request", "\"" + url + "\" is no URL of a daemon: write http://HOST:PORT"};
  std::string_view rest = url;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  if (rest.ends_with("/")) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/@?# \t") != std::string_view::npos) return refusal;
  HostPort address{.port = "80"};
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string_view::npos) return refusal;
  if (const std::size_t colon = rest.find(':', bracket); colon != std::string_view::npos) {
    address.port = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (bracket != 0 && rest.size() == bracket + 1) rest = rest.substr(1, bracket - 1);
  address.host = rest;
  const bool is_number = address.port.find_first_not_of("0123456789") == std::string::npos;
  if (address.host.empty() || address.port.empty() || address.port.size() > 5 || !is_number) return refusal;
  return address;
}

std::string url_or_default(const std::string& given) {
  if (!given.empty()) return given;
  const char* from_environment = std::getenv("MGPU_URL");
  return from_environment != nullptr && *from_environment != 0 ? from_environment : "http://127.0.0.1:8090";
}

}  // namespace mgpu::client
