// One short HTTP exchange with an application's control routes: a request, one bounded answer, one limit.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace mgpu::service {

struct Address {
  std::string host{};
  std::uint16_t port = 80;
  std::string path_prefix{};  // path of the url, without a trailing slash
  std::vector<std::pair<std::string, std::string>> credential_headers{};  // headers sent with every request
};

// "http://127.0.0.1:9001/base", "tcp://127.0.0.1:10300". Error: invalid_config (another scheme, no host, a
// port that is none).
Result<Address> parse_address(const std::string& url);

struct Request {
  std::string method = "GET";
  std::string path{};
  std::string body{};  // JSON; empty: none
};

struct Response {
  int status = 0;
  std::string body{};
};

inline constexpr Bytes kMaxResponse = kMiB * 8;

// Any status is an answer. Error: service_down (refused, broken off, over its limit, rubbish).
boost::asio::awaitable<Result<Response>> fetch(const Address& address, const Request& request,
                                               Duration limit);

}  // namespace mgpu::service
