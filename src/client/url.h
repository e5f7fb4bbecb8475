// The daemon's URL.
#pragma once

#include <string>

#include "mgpu/client.h"

namespace mgpu::client {

struct HostPort {
  std::string host{};
  std::string port{};
};

// "http://host:port", "http://host", "http://[::1]:8090/", "host:port". Failure: invalid_request.
Outcome<HostPort> parse_url(const std::string& url);

// `given` unless empty, else $MGPU_URL, else http://127.0.0.1:8090.
std::string url_or_default(const std::string& given);

}  // namespace mgpu::client
