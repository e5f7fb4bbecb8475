// One short HTTP exchange with an application's control route: one request, one bounded answer, one time
// limit.
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "http/endpoint.h"
#include "http/message.h"

namespace mgpu::service {

// Where requests go, and what is sent with each.
struct Address {
  http::Endpoint endpoint{};
  http::Headers credential_headers{};
};

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

// Any status is an answer. Error: service_down (connection refused or broken off, time limit passed, invalid
// answer).
boost::asio::awaitable<Result<Response>> fetch(const Address& address, const Request& request,
                                               Duration limit);

}  // namespace mgpu::service
