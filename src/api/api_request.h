// A request to the control plane and its response, without HTTP: the types that routes are written in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "domain/principal.h"

namespace mgpu::api {

inline constexpr std::size_t kMaxRequestBody = 64 * 1024;  // bytes

struct ApiRequest {
  std::string method{};
  std::string path{};                                   // still encoded, without the query
  std::map<std::string, std::string> query{};           // decoded
  std::map<std::string, std::string> path_arguments{};  // what stands for {name} in the route; decoded
  std::string body{};                                   // at most kMaxRequestBody
  std::string last_event_id{};
  std::string peer{};  // the client's end of the connection: "127.0.0.1:5123"
  Principal principal{};
};

struct ApiResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

// Where a response goes that is sent in pieces. `begin` and `write` wait while the client reads slowly, and
// fail once it has disconnected.
struct ResponseStream {
  // The head, with the body as the first piece.
  std::function<boost::asio::awaitable<Result<void>>(ApiResponse)> begin{};
  std::function<boost::asio::awaitable<Result<void>>(std::string)> write{};
  std::function<void()> abort{};  // closes the connection at once, even during a write
};

// None: the response went to the stream, which ends when the handler returns.
using HandlerResult = Result<std::optional<ApiResponse>>;

// "a=1&b=x%20y", decoded. Of a key that is given twice, the last value.
std::map<std::string, std::string> parse_query(std::string_view query);
std::string percent_decode(std::string_view text);

// The query's value; empty: none is given.
std::string query_value(const ApiRequest& request, const std::string& key);

// Decimal digits and nothing else, as ids are written. None: another text, or a number out of range.
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace mgpu::api
