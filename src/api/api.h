// The control plane: one table of routes over the engine. docs/openapi.yaml is its contract; HTTP itself is
// the daemon's to bring (call.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "api/api_context.h"
#include "api/event_feed.h"
#include "api/lease_table.h"
#include "api/notifier.h"
#include "api/status.h"

namespace mgpu::api {

struct Route {
  std::string_view method;
  std::string_view path;  // "/v1/consumers/{name}"
  RouteHandler handler;
};

// All of them.
std::span<const Route> routes();

// Whether `path` is one of ours, with whatever method.
bool has_route(std::string_view path);

class Api {
 public:
  // `log_lines_dropped`: of the daemon's log, for the status; empty: none are.
  Api(engine::Engine& engine, boost::asio::any_io_executor executor, std::string version,
      std::function<std::uint64_t()> log_lines_dropped = {});

  // Errors of any kind become their reply; none: the answer went to the outlet. Cancelling it is the client's
  // going away. REQUIRES: the api and its engine outlive the coroutine.
  boost::asio::awaitable<std::optional<ApiResponse>> handle_request(ApiRequest request,
                                                                    ResponseStream stream);

 private:
  LeaseTable leases_;
  Notifier notifier_;
  EventFeed events_;
  StartEstimates start_estimates_;
  ApiContext context_;
};

}  // namespace mgpu::api
