// A request to the control plane and its answer, before and after HTTP: what the routes are written in.
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

inline constexpr std::size_t kMaxRequestBody = 64 * 1024;

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

// Where an answer goes that comes in pieces. `append_entry` fails once the client is gone, and waits while it
// is slow.
struct ResponseStream {
  std::function<boost::asio::awaitable<Result<void>>(ApiResponse)>
      begin{};  // the head; its body is the first piece
  std::function<boost::asio::awaitable<Result<void>>(std::string)> write{};
  std::function<void()> abort{};  // ends it at once, in the middle of a write too
};

// None: the answer went to the outlet, and ends with this.
using HandlerResult = Result<std::optional<ApiResponse>>;

// "a=1&b=x%20y", decoded. A key that stands twice: the last.
std::map<std::string, std::string> parse_query(std::string_view query);
std::string percent_decode(std::string_view text);

}  // namespace mgpu::api
