// Host names whose addresses are known without a name server. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mgpu::http {

// Of "localhost" both loopback addresses, IPv4 first, whatever /etc/hosts says; of an address itself. Empty:
// a name that must be resolved.
std::vector<std::string> known_addresses(std::string_view host);

}  // namespace mgpu::http
