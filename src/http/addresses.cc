#include "http/addresses.h"

namespace mgpu::http {

std::vector<std::string> known_addresses(std::string_view host) {
  if (host == "localhost") return {"127.0.0.1", "::1"};
  const bool is_ipv4 = !host.empty() && host.find_first_not_of("0123456789.") == host.npos;
  if (is_ipv4 || host.contains(':')) return {std::string(host)};
  return {};
}

}  // namespace mgpu::http
